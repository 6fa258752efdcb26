/* The page's beginning: each part is started, and the links that lead to this machine are shown only on it. */

import { startConversation } from "./conversation.js";
import { startDocuments } from "./documents.js";
import { byId, onThisMachine } from "./dom.js";

byId("stack").hidden = !onThisMachine;
startDocuments();
startConversation();
