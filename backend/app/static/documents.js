/* Documents: sends them, follows their indexing jobs, lists what can be asked about. */

import { apiKey, call, Failure } from "./api.js";
import { announce, button, byId, count, fromTemplate, problemBox } from "./dom.js";

const ROWS = 8; // as many uploads as are kept in sight
const FIRST_LOOK_MS = 250, SLOWEST_LOOK_MS = 2000;
const STAGES = { uploading: 1, queued: 2, running: 3, completed: 4 };
const WORDS = { uploading: "uploading", queued: "waiting", running: "indexing" };

/** Makes the file chooser, dropping and the list of indexed documents work. */
export function startDocuments() {
  const files = byId("files");
  files.addEventListener("change", () => {
    sendAll([...files.files]);
    files.value = ""; // choosing the same file again is a change again
  });
  acceptDrops();
  const indexed = byId("indexed");
  indexed.addEventListener("toggle", () => indexed.open && listIndexed());
  // On a phone it would push the conversation down; without the key that is asked for it would only be refused.
  indexed.open = matchMedia("(min-width: 60rem)").matches && (byId("access").hidden || apiKey() !== "");
}

function acceptDrops() {
  const root = document.documentElement;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    root.classList.add("dragging");
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && root.classList.remove("dragging"));
  addEventListener("drop", (event) => {
    root.classList.remove("dragging");
    if (!holdsFiles(event)) return;
    event.preventDefault(); // else the browser opens the file in the page's place
    sendAll([...event.dataTransfer.files]);
  });
}

async function sendAll(files) {
  for (const file of files) await send(file, addRow(file.name));
}

function addRow(name) {
  const row = fromTemplate("upload-template");
  row.querySelector(".name").textContent = name;
  row.querySelector("progress").setAttribute("aria-label", `Progress of ${name}`);
  byId("uploads").prepend(row);
  while (byId("uploads").childElementCount > ROWS) byId("uploads").lastElementChild.remove();
  return row;
}

/** Sends one file; returns once it is accepted, and lets its job be followed in the background. */
async function send(file, row) {
  show(row, "uploading");
  try {
    const form = new FormData();
    form.append("file", file);
    const response = await call("POST", "/api/v1/documents", { body: form });
    follow((await response.json()).job_id, row);
  } catch (failure) {
    fail(row, failure);
    if (failure.passing) row.append(button("Try again", () => send(file, row)));
  }
}

async function follow(jobId, row) {
  let wait = FIRST_LOOK_MS;
  for (;;) {
    let job;
    try {
      job = await (await call("GET", `/api/v1/indexing/jobs/${jobId}`)).json();
    } catch (failure) {
      if (!failure.passing) return fail(row, failure);
      row.querySelector(".state").textContent = "no answer, trying again";
    }
    if (job?.status === "completed") return complete(row, job);
    if (job?.status === "failed") return fail(row, new Failure(`It could not be indexed: ${job.error}`));
    if (job) show(row, job.status);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 1.4, SLOWEST_LOOK_MS);
  }
}

function show(row, stage) {
  row.dataset.state = stage;
  row.querySelector(".state").textContent = WORDS[stage];
  row.querySelector("progress").value = STAGES[stage];
  row.querySelectorAll(".problem, button").forEach((element) => element.remove());
}

function complete(row, job) {
  const passages = count(job.chunks, "passage");
  row.dataset.state = "completed";
  row.querySelector(".state").textContent = passages;
  announce(`${job.filename} is indexed: ${passages}`);
  if (byId("indexed").open) listIndexed();
}

function fail(row, failure) {
  if (!(failure instanceof Failure)) throw failure; // a mistake of this page: counted as one
  row.dataset.state = "failed";
  row.querySelector(".state").textContent = "failed";
  row.append(problemBox(failure));
}

async function listIndexed() {
  const list = byId("indexed-list");
  try {
    const { jobs } = await (await call("GET", "/api/v1/indexing/jobs?status=completed&limit=50")).json();
    // The same file, sent twice, is one document.
    const names = new Map(jobs.map((job) => [job.document_id, job.filename]));
    const items = [...names.values()].slice(0, ROWS).map(listItem);
    list.replaceChildren(...(items.length ? items : [listItem("Nothing yet")]));
  } catch (failure) {
    list.replaceChildren(listItem(failure.message));
  }
}

function listItem(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}
