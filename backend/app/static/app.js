/* The page's beginning: each part is started, and the links that lead to this machine are shown only on it. */

import { apiKey } from "./api.js";
import { startConversation } from "./conversation.js";
import { startDocuments } from "./documents.js";
import { byId, onThisMachine } from "./dom.js";

// Shown by the service where it asks for keys.
byId("key").value = apiKey();
byId("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("specola-key", byId("key").value.trim());
  location.reload();
});

byId("stack").hidden = !onThisMachine;
startDocuments();
startConversation();
