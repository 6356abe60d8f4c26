// A page that only shows: its clocks run, its moments are told in the reader's own time, and what it fetches again by itself
// it fetches while somebody can see it.

import * as clocks from "./clocks.js";
import * as times from "./times.js";

clocks.run();
times.run();

document.addEventListener("htmx:before:request", (event) => document.hidden && event.preventDefault());
document.addEventListener("htmx:after:swap", () => times.localise(document));

// Signed out meanwhile: what comes is the page that asks who one is, and no list.
document.addEventListener("htmx:before:response", (event) => {
  if (!["runs", "schedules"].includes(event.target.id) || !event.detail.ctx.response.raw.redirected) return;
  event.preventDefault();
  location.reload();
});
