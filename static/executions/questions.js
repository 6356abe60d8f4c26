// The inbox: questions come and go by themselves, and an answer that is being typed stays.

import * as clocks from "./clocks.js";
import { connect } from "./live.js";
import { announce } from "./say.js";
import * as times from "./times.js";

const AT_MOST_EVERY = 300; // ms between two fetches
const inbox = document.getElementById("inbox");
const open = document.getElementById("open");
let asked = -1;
let fetching = false;
let wanted = false;

clocks.run();
times.run();
connect(inbox.dataset.socket, { since: inbox.dataset.since, poll: inbox.dataset.poll, onFrame: hear, onReset: refresh });

function hear(frame) {
  const isNew = "questions" in frame && frame.questions !== asked && asked !== -1;
  if ("questions" in frame) asked = frame.questions;
  const ours = new Set([...open.querySelectorAll("[data-of]")].map((panel) => `execution-${panel.dataset.of}`));
  const touches = [...(frame.cards ?? []), ...(frame.gone ?? [])].some(
    ({ id, html }) => ours.has(id) || html?.includes('data-state="waiting"'),
  );
  if (isNew || touches) refresh();
}

async function refresh() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  while (wanted) {
    wanted = false;
    await fetchInbox().catch(() => {}); // the next news asks again
    await new Promise((wake) => setTimeout(wake, AT_MOST_EVERY));
  }
  fetching = false;
}

async function fetchInbox() {
  const fresh = await page(location.pathname);
  if (!fresh?.getElementById("inbox-list")) return;
  const list = fresh.getElementById("inbox-list");
  times.localise(list);
  document.getElementById("inbox-list").replaceWith(list);
  let place = null;
  for (const panel of [...fresh.querySelectorAll("#open > .ask")].reverse()) place = stand(panel, place);
  for (const panel of [...open.querySelectorAll(":scope > .ask:has(form)")]) {
    if (!list.querySelector(`a[href="#${panel.id}"]`)) await close(panel);
  }
  document.getElementById("nothing").hidden = open.querySelector(":scope > .ask") !== null;
  document.dispatchEvent(new CustomEvent("live:applied", { detail: { reset: false, moved: [] } }));
}

// A new question takes its place before the younger one; one that is here already is left as it is.
function stand(panel, before) {
  const there = document.getElementById(panel.id);
  if (there) return there;
  times.localise(panel);
  open.insertBefore(panel, before ?? document.getElementById("nothing"));
  announce(`Asked: ${panel.querySelector("h2").textContent}`);
  return panel;
}

// Somebody else answered, or its run has ended: the panel says so in place of its form.
async function close(panel) {
  const fresh = (await page(`/questions/${panel.id.replace("question-", "")}/`))?.getElementById(panel.id);
  if (!fresh || fresh.querySelector("form")) return;
  const held = panel.contains(document.activeElement);
  panel.replaceWith(fresh);
  if (!held) return;
  fresh.tabIndex = -1;
  fresh.focus();
  announce(fresh.querySelector(".pill").textContent);
}

async function page(address) {
  const answer = await fetch(address);
  if (!answer.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}
