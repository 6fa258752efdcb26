/* One question with its answer: what is shown of it, and its rating. */

import { call } from "./api.js";
import { button, count, fromTemplate, problemBox, requestId } from "./dom.js";

/** A question and its answer in the making. */
export class Turn {
  #text = document.createTextNode("");
  #sources = [];
  #firstToken = document.createElement("span");

  /** `id` is that of the request which will answer it. */
  constructor(question, id) {
    this.element = fromTemplate("turn-template");
    this.question = question;
    this.requestId = id;
    this.#part(".question").textContent = question;
    this.#part(".answer").append(this.#text);
  }

  /** What the answer is made from. Shown below it once it is complete, so that nothing moves while one reads. */
  set sources(sources) {
    this.#sources = sources;
    this.#part(".waiting").textContent =
      sources.length ? `Reading ${count(sources.length, "source")}` : "Nothing was found; answering";
  }

  get sourceCount() {
    return this.#sources.length;
  }

  /** Adds a piece of the answer. True when it was the first. */
  add(text) {
    const first = this.#text.length === 0;
    this.#text.appendData(text);
    this.#part(".waiting").hidden = true;
    return first;
  }

  /** How long its first token took to be seen, in seconds. */
  set firstToken(seconds) {
    this.#firstToken.textContent = `first token after ${seconds.toFixed(2)} s`;
  }

  /** The answer is complete; it can be rated. */
  complete({ message_id: messageId, model, tokens, request_id: id }) {
    this.requestId = id;
    this.#end();
    this.#showFacts(model, `${tokens.input} tokens in, ${tokens.output} out`, this.#firstToken);
    this.#offerRating(messageId);
  }

  /** It was stopped. */
  stop() {
    this.#end();
    this.#part(".stopped").hidden = false;
    this.#showFacts();
  }

  /** It failed. What had arrived stays. */
  fail(failure) {
    this.#end();
    this.#part(".outcome").append(problemBox(failure));
  }

  /** Offers to ask once more. */
  offerRetry(label, retry) {
    this.#part(".outcome").append(button(label, retry));
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }

  #end() {
    this.#part(".waiting").hidden = true;
    this.#part(".answer").setAttribute("aria-busy", "false");
    const section = this.#part(".sources");
    section.hidden = this.#sources.length === 0;
    section.querySelector("ol").append(...this.#sources.map(sourceItem));
  }

  #showFacts(...facts) {
    const line = this.#part(".facts");
    line.append(requestId(this.requestId));
    for (const fact of facts) {
      const item = document.createElement("span");
      item.append(fact);
      line.append(item);
    }
    line.hidden = false;
  }

  #offerRating(messageId) {
    const form = this.#part(".rating");
    const comment = this.#part(".comment");
    form.hidden = false;
    form.addEventListener("change", () => { comment.hidden = false; }); // a score was chosen: the rest follows
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await this.#rate(messageId, Number(form.elements.score.value), form.elements.comment.value.trim());
    });
  }

  async #rate(messageId, score, comment) {
    const rated = this.#part(".rated");
    const problem = this.#part(".rating-problem");
    problem.replaceChildren();
    try {
      await call("POST", "/api/v1/feedback", { json: { message_id: messageId, score, comment: comment || null } });
      rated.textContent = `Thank you. Rated ${score} of 5; you can still change it.`;
    } catch (failure) {
      rated.textContent = "";
      problem.append(problemBox(failure));
    }
  }
}

function sourceItem({ title, filename, score, excerpt }) {
  const item = fromTemplate("source-template");
  item.querySelector(".title").textContent = title;
  item.querySelector(".filename").textContent = filename === title ? "" : filename;
  item.querySelector(".score").textContent = score.toFixed(2);
  item.querySelector(".excerpt").textContent = excerpt;
  item.querySelector(".bar").style.setProperty("--share", Math.min(Math.max(score, 0), 1));
  return item;
}
