/* The few things that every part of the page needs. Text from the server goes in as text, never as markup. */

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new copy of a template's only element. */
export const fromTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** `1 source`, `2 sources`. */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** Says something to whoever does not see the page. */
export function announce(text) {
  byId("status").textContent = text;
}

/** The stack's own pages are published on this machine's loopback only. */
export const onThisMachine = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** An element that shows a request id, copies it, and leads to its log lines where Grafana can be reached. */
export function requestId(id) {
  const element = fromTemplate("request-template");
  element.querySelector("code").textContent = id;
  const copy = element.querySelector("button");
  copy.setAttribute("aria-label", `Copy request id ${id}`);
  copy.addEventListener("click", async () => {
    const copied = await copyText(id, element.querySelector("code"));
    copy.textContent = copied ? "Copied" : "Selected";
    announce(copied ? "Request id copied" : "Request id selected: copy it with your browser");
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  if (onThisMachine) {
    const link = element.querySelector("a");
    link.href = logsAddress(id);
    link.setAttribute("aria-label", `Logs of request ${id} in Grafana`);
    link.hidden = false;
  }
  return element;
}

async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // refused, or not there: over plain http from another machine
    getSelection().selectAllChildren(shown);
    return false;
  }
}

function logsAddress(id) {
  const query = {
    refId: "A",
    datasource: { type: "loki", uid: "loki" },
    expr: `{service="backend"} | request_id="${id}"`,
  };
  const pane = { datasource: "loki", queries: [query], range: { from: "now-1h", to: "now" } };
  const parameters = new URLSearchParams({ schemaVersion: "1", orgId: "1", panes: JSON.stringify({ a: pane }) });
  return `http://localhost:3000/explore?${parameters}`;
}

/** An element that shows what went wrong, where, and the request id by which to find more. */
export function problemBox(failure) {
  const box = fromTemplate("problem-template");
  const wait = failure.retryAfter ? ` Try again in ${failure.retryAfter}\u00a0s.` : "";
  box.querySelector(".detail").textContent = failure.message.replace(/[^.!?]$/, "$&.") + wait;
  const list = box.querySelector("ul");
  for (const { where, what } of failure.errors) {
    const item = document.createElement("li");
    item.textContent = `${where}: ${what}`;
    list.append(item);
  }
  list.hidden = !failure.errors.length;
  if (failure.requestId) box.append(requestId(failure.requestId));
  return box;
}

/** A button. */
export function button(text, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "quiet";
  element.textContent = text;
  element.addEventListener("click", onClick);
  return element;
}
