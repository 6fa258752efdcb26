/* The conversation: a session, the questions in it, and the answer that is being written. */

import { call, events, Failure, randomId } from "./api.js";
import { announce, byId, count } from "./dom.js";
import { Turn } from "./turn.js";

const GAP_PX = 20; // kept free between an answer and the edges of what can be seen
const NEAR_PX = 80; // whose end is this near is being read; whoever scrolled further away is left there

let sessionId = null;
let running = null; // the AbortController of the answer that is being written

/** Makes asking, stopping and starting anew work. */
export function startConversation() {
  const question = byId("question");
  const touch = matchMedia("(pointer: coarse)").matches;
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const content = question.value.trim();
    if (!content || running) return;
    question.value = "";
    if (touch) question.blur(); // its keyboard would cover the answer
    else question.focus(); // the button that was pressed goes away
    ask(content);
  });
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch) return;
    event.preventDefault();
    byId("composer").requestSubmit();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && running?.abort());
  byId("stop").addEventListener("click", () => running?.abort());
  byId("new-conversation").addEventListener("click", startAnew);
}

async function ask(content) {
  const pressed = performance.now();
  const mine = new AbortController();
  const turn = new Turn(content, randomId());
  byId("welcome").hidden = true;
  byId("turns").append(turn.element);
  follow(turn.element);
  setRunning(mine);
  announce("Answering");
  try {
    await answer(turn, pressed, mine.signal);
    announce(`The answer is complete, from ${count(turn.sourceCount, "source")}`);
  } catch (error) {
    if (mine.signal.aborted) {
      turn.stop();
      announce("Stopped");
    } else if (error instanceof Failure) {
      fail(turn, error);
    } else {
      throw error; // a mistake of this page: counted as one
    }
  } finally {
    if (running === mine) setRunning(null);
  }
}

async function answer(turn, pressed, signal) {
  sessionId ??= await openSession(signal);
  const path = `/api/v1/chat/sessions/${sessionId}/messages`;
  const { question: content, requestId } = turn;
  const response = await call("POST", path, { json: { content, stream: true }, signal, requestId });
  for await (const { event, data } of events(response)) {
    const wasRead = endIsInSight(turn.element);
    if (event === "sources") turn.sources = data;
    if (event === "token" && turn.add(data.text)) timeFirstToken(turn, pressed);
    if (event === "error") throw Failure.fromProblem(data);
    if (event === "done") turn.complete(data);
    if (wasRead) follow(turn.element);
    if (event === "done") return;
  }
  throw new Failure("The answer broke off: the connection closed before its end.", { requestId });
}

async function openSession(signal) {
  const response = await call("POST", "/api/v1/chat/sessions", { signal });
  return (await response.json()).session_id;
}

/** Seen is what is painted: nothing is measured of a page that nobody looks at. */
function timeFirstToken(turn, pressed) {
  if (document.hidden) return;
  requestAnimationFrame(() => {
    const seconds = (performance.now() - pressed) / 1000;
    turn.firstToken = seconds;
    experience.measure("first_token", seconds);
  });
}

function fail(turn, failure) {
  const sessionIsGone = failure.status === 404;
  if (sessionIsGone) sessionId = null;
  turn.fail(failure);
  if (failure.status === 422) {
    if (!byId("question").value) byId("question").value = turn.question; // to be changed, not typed again
  } else {
    turn.offerRetry(sessionIsGone ? "Ask in a new conversation" : "Ask again", () => running || ask(turn.question));
  }
  follow(turn.element);
}

function startAnew() {
  running?.abort();
  setRunning(null);
  const closing = sessionId;
  sessionId = null;
  byId("turns").replaceChildren();
  byId("welcome").hidden = false;
  byId("question").focus();
  announce("A new conversation");
  // One that cannot be closed now closes by itself once it has been idle long enough.
  if (closing) call("DELETE", `/api/v1/chat/sessions/${closing}`, { keepalive: true }).catch(() => {});
}

function setRunning(controller) {
  const stop = byId("stop");
  running = controller;
  if (!running && document.activeElement === stop) byId("question").focus(); // it is about to go away
  stop.hidden = !running;
  byId("ask").hidden = Boolean(running);
}

/** How far the turn reaches below what can be seen of the conversation, in pixels. */
function hiddenBelow(element) {
  return element.getBoundingClientRect().bottom - byId("composer").getBoundingClientRect().top;
}

function endIsInSight(element) {
  return hiddenBelow(element) < NEAR_PX;
}

/** Scrolls to the turn's end, but never past its beginning. */
function follow(element) {
  const conversation = byId("conversation");
  const scroller = getComputedStyle(conversation).overflowY === "auto" ? conversation : document.scrollingElement;
  const room = element.getBoundingClientRect().top - Math.max(scroller.getBoundingClientRect().top, 0) - GAP_PX;
  const distance = Math.min(hiddenBelow(element) + GAP_PX, room);
  if (distance > 0) scroller.scrollBy(0, distance);
}
