// A page that only shows: its clocks run, its moments are told in the reader's own time, and what it fetches again by itself
// it fetches while somebody can see it.

import * as clocks from "./clocks.js";
import * as times from "./times.js";

clocks.run();
times.run();

document.addEventListener("htmx:before:request", (event) => document.hidden && event.preventDefault());
document.addEventListener("htmx:after:swap", () => times.localise(document));
