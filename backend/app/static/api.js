/* The service's HTTP interface: calls, their errors, and answers that arrive piece by piece. */

/** A call that was not served. `status` is 0 when there was no answer at all; `retryAfter` is in seconds. */
export class Failure extends Error {
  constructor(message, { status = 0, requestId = "", retryAfter = 0, errors = [] } = {}) {
    super(message);
    Object.assign(this, { status, requestId, retryAfter, errors });
  }

  /** From a problem (RFC 9457), as an error answer's body or a stream's `error` event holds it. */
  static fromProblem(problem, retryAfter = 0) {
    const { detail, title, status, request_id: requestId, errors } = problem;
    return new Failure(detail ?? title ?? "It failed.", { status, requestId, retryAfter, errors });
  }

  /** Whether the same call may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * Calls the service; returns its response, or throws a `Failure` (an AbortError when stopped).
 * The request id is made here, so that one is known of a call that never was answered.
 */
export async function call(method, path, options = {}) {
  const { json, signal, keepalive = false, requestId = randomId() } = options;
  const headers = { "X-User-ID": userId(), "X-Request-ID": requestId };
  if (apiKey()) headers.Authorization = `Bearer ${apiKey()}`;
  let { body = null } = options;
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal, keepalive });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The service did not answer: it may be restarting, or the network is away.", { requestId });
  }
  if (response.ok) return response;
  throw await failureOf(response, requestId);
}

async function failureOf(response, requestId) {
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  const bare = { detail: `The answer was ${response.status} ${response.statusText}, without an explanation.` };
  const problem = await response.json().catch(() => bare); // whatever stands in front of the service may answer too
  return Failure.fromProblem({ status: response.status, request_id: requestId, ...problem }, retryAfter);
}

/** The server-sent events of a response, each `{ event, data }` with its data read as JSON; ends when it is cut. */
export async function* events(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(() => ({ done: true }));
      if (done) return;
      buffer = (buffer + decoder.decode(value, { stream: true })).replace(/\r\n/g, "\n");
      const blocks = buffer.split("\n\n");
      buffer = blocks.pop(); // not complete yet
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops listening no longer wants the rest
  }
}

function parseEvent(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
}

/** The key that was given in this tab, or "". */
export function apiKey() {
  try {
    return sessionStorage.getItem("specola-key") ?? "";
  } catch { // storage is refused
    return "";
  }
}

let knownUser = "";

/** A random id for this browser, so that its requests count as one user's. */
function userId() {
  if (knownUser) return knownUser;
  try {
    knownUser = localStorage.getItem("specola-user") ?? "";
    if (!knownUser) localStorage.setItem("specola-user", (knownUser = randomId()));
  } catch { // storage is refused: this visit's own
    knownUser = knownUser || randomId();
  }
  return knownUser;
}

/** A new id. (`randomUUID` is not there over plain http from another machine.) */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
