// An execution's page: its parts are fetched again when it changes, its log grows, and what is being typed stays.

import * as clocks from "./clocks.js";
import { connect } from "./live.js";
import * as log from "./log.js";
import { announce, toast } from "./say.js";
import * as times from "./times.js";

const AT_MOST_EVERY = 200; // ms between two fetches
const EVEN_SO = 10_000; // while it is under way bars grow without news
const TOKEN = /(name="csrfmiddlewaretoken" value=")[^"]*/g;
const exec = document.getElementById("exec");
const seen = new Map(); // id of a part → its text as it was last told
let version = Number(document.getElementById("hero").dataset.revision);
let fetching = false;
let wanted = false;

clocks.run();
times.run();
copies(document);
const lines = log.open(document.getElementById("log"));
connect(exec.dataset.socket, { since: exec.dataset.since, poll: exec.dataset.poll, onFrame: hear, onReset: refresh });
setInterval(() => !document.hidden && isUnderWay() && refresh(), EVEN_SO);

function hear(frame) {
  const news = frame.execution;
  if (!news) return;
  lines.grow(news.last_line);
  if (news.version > version) refresh();
  const why = frame.why?.[news.id];
  if (why) explain(why);
}

function explain(why) {
  const place = document.querySelector("#hero [data-reason]");
  if (!place) refresh();
  else if (place.textContent !== why.sentence) place.textContent = why.sentence;
}

function isUnderWay() {
  return document.getElementById("log").dataset.live !== undefined;
}

// ---------------------------------------------------------------------------------------------- parts

async function refresh() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  while (wanted) {
    wanted = false;
    await fetchParts().catch(() => {}); // the next news asks again, and #live-status says what is the matter
    await new Promise((wake) => setTimeout(wake, AT_MOST_EVERY));
  }
  fetching = false;
}

async function fetchParts() {
  const answer = await fetch(exec.dataset.parts);
  if (!answer.ok || answer.redirected) return;
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  const revision = Number(template.content.querySelector("#hero").dataset.revision);
  if (revision < version) return;
  version = revision;
  const before = document.querySelector("#hero .pill").textContent;
  for (const part of [...template.content.children]) put(part);
  const now = document.querySelector("#hero .pill").textContent;
  if (now !== before) announce(`It is ${now.toLowerCase()}.`);
  if (document.querySelector("#hero[data-final]")) lines.end();
  document.dispatchEvent(new CustomEvent("live:applied", { detail: { reset: false, moved: [] } }));
}

function put(part) {
  const there = document.getElementById(part.id);
  const text = part.outerHTML.replace(TOKEN, "$1");
  if (!there || seen.get(part.id) === text || isInUse(there, part)) return;
  seen.set(part.id, text);
  for (const fold of part.querySelectorAll("details[id]")) {
    const mine = document.getElementById(fold.id);
    if (mine) fold.open = mine.open;
  }
  const focused = there.contains(document.activeElement) ? document.activeElement : null;
  times.localise(part);
  copies(part);
  there.replaceWith(part);
  if (focused) alike(part, focused)?.focus();
}

// A question that is being answered stays as it is until it is another one; an open dialog until it is closed.
function isInUse(there, part) {
  if (there.id === "asked") return there.dataset.key === part.dataset.key;
  return there.querySelector(":popover-open") !== null;
}

function alike(part, focused) {
  if (focused.id) return document.getElementById(focused.id);
  const href = focused.getAttribute("href");
  return href ? part.querySelector(`a[href="${CSS.escape(href)}"]`) : part.querySelector(focused.tagName);
}

// ---------------------------------------------------------------------------------------------- copying

function copies(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const answer = await fetch(button.dataset.copy);
  await navigator.clipboard.writeText(await answer.text());
  toast("Copied");
});
