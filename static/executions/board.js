// The board's page: cards that move by themselves, by the pointer and by keys. Everything here also works without it.

import * as clocks from "./clocks.js";
import * as drag from "./drag.js";
import * as keyboard from "./keyboard.js";
import { connect } from "./live.js";
import { drop, flash, nameOf, openForm, titleOf } from "./moves.js";
import { announce } from "./say.js";

const MOST_SAID = 3; // arrivals told one by one
const work = document.getElementById("work");
const board = document.getElementById("board");
const drawer = document.getElementById("drawer");
const search = document.getElementById("search");
const dialog = document.getElementById("dialog");
const isNarrow = matchMedia("(width < 720px)");
let awaited = ""; // the card that takes the focus as soon as it is here

for (const part of document.querySelectorAll("[data-needs-script], [data-library-toggle], [data-keys]")) part.hidden = false;

clocks.run();
drag.start(work);
keyboard.start(document.body, { search: findTask, library: openLibrary, keys: showKeys });
connect(board.dataset.socket, { since: board.dataset.since, poll: board.dataset.poll });

// ------------------------------------------------------------------------------------------------ buttons and links

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[form=act][formaction]");
  const form = event.target.closest("a[data-form]");
  const more = event.target.closest("a[data-more]");
  const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (button) press(event, button);
  else if (form && isPlain) open(event, form.href);
  else if (more && isPlain) turn(event, more);
});

function press(event, button) {
  event.preventDefault();
  if (event.detail > 1) return; // the second half of a double click
  const said = new URL(button.formAction).searchParams;
  if (drawer.matches(":popover-open")) drawer.hidePopover();
  drop(document.getElementById(said.get("card")), said.get("to"));
}

function open(event, address) {
  event.preventDefault();
  openForm(address);
}

async function turn(event, link) {
  event.preventDefault();
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return void location.assign(link.href);
  const next = document.createElement("template");
  next.innerHTML = await answer.text();
  const isNew = (part) => part.matches("[data-more]") || (part.matches(".card") && !document.getElementById(part.id));
  const parts = [...next.content.querySelector("[data-cards]").children].filter(isNew);
  const begins = parts.find((part) => part.matches(".card"));
  link.replaceWith(...parts);
  begins?.focus();
}

// ------------------------------------------------------------------------------------------------ forms in the dialog

document.addEventListener("launched", ({ detail }) => {
  dialog.close();
  awaited = `execution-${detail.id}`;
  announce(`${detail.number} is in Pending.`);
  if (document.body.dataset.live !== "on") location.reload();
});

document.addEventListener("planned", () => {
  dialog.close();
  announce("The plan is kept.");
  if (document.body.dataset.live !== "on") location.reload();
});

dialog.addEventListener("htmx:after:swap", () => dialog.querySelector("[aria-invalid=true]")?.focus());

dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
});

// ------------------------------------------------------------------------------------------------ after each news

let questions = Number(document.querySelector("[data-questions]").textContent);

document.addEventListener("live:applied", ({ detail }) => {
  const arrived = detail.moved.filter(({ to }) => to).map(({ id }) => document.getElementById(id));
  for (const card of arrived) flash(card);
  if (arrived.length > MOST_SAID) announce(`${arrived.length} cards have moved.`);
  else if (arrived.length) announce(arrived.map((card) => `${nameOf(card)} is in ${titleOf(card.dataset.in)}.`).join(" "));
  stop(detail.moved.filter(({ id, to }) => !to && id.startsWith("execution-")).length);
  focusAwaited();
  tell();
});

// A cancelled card leaves the board; the count says where it went.
function stop(number) {
  const chip = document.querySelector("[data-stopped]");
  const place = chip.querySelector("b");
  place.textContent = Number(place.textContent) + number;
  chip.hidden = place.textContent === "0";
}

function focusAwaited() {
  const card = awaited && document.getElementById(awaited);
  if (!card) return;
  awaited = "";
  card.focus();
}

function tell() {
  for (const column of board.querySelectorAll("[data-column]")) {
    const count = Number(column.dataset.count);
    const text = count > 1000 ? "1000+" : String(count);
    const tab = document.querySelector(`[data-tab="${column.dataset.column}"]`);
    for (const place of [column, tab]) place.querySelector("[data-told]").textContent = text;
  }
  const working = board.querySelectorAll("[data-state=preparing], [data-state=running], [data-state=cancelling]").length;
  const load = board.querySelector("[data-working]");
  load.hidden = String(working) === board.querySelector("[data-column=running]").dataset.count;
  load.textContent = `${working} working`;
  const asks = document.querySelector("[data-asks]");
  const open = Number(asks.querySelector("[data-questions]").textContent);
  asks.hidden = !open;
  if (open > questions) announce(open === 1 ? "A question waits for you." : `${open} questions wait for you.`);
  questions = open;
}

// ------------------------------------------------------------------------------------------------ library and keys

function openLibrary() {
  show(true);
  if (isNarrow.matches && !drawer.matches(":popover-open")) drawer.showPopover();
  (drawer.querySelector(".lib:not([hidden])") ?? search).focus();
}

function findTask() {
  show(true);
  search.focus();
}

function show(isOpen) {
  work.classList.toggle("is-closed", !isOpen);
  localStorage.setItem("library", isOpen ? "open" : "closed");
  for (const button of document.querySelectorAll("[data-library-toggle][aria-expanded]")) button.ariaExpanded = String(isOpen);
}

for (const button of document.querySelectorAll("[data-library-toggle]")) {
  button.addEventListener("click", () => show(work.classList.contains("is-closed")));
}
show(localStorage.getItem("library") !== "closed");

search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  let found = 0;
  for (const task of drawer.querySelectorAll(".lib")) {
    task.hidden = !task.textContent.toLowerCase().includes(wanted) && !task.dataset.task.includes(wanted);
    found += !task.hidden;
  }
  document.getElementById("no-match").hidden = !wanted || found > 0;
});

search.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") drawer.querySelector(".lib:not([hidden])")?.focus();
});

function showKeys() {
  document.getElementById("keys").showModal();
}

document.querySelector("[data-keys]").addEventListener("click", showKeys);

// ------------------------------------------------------------------------------------------------ one column at a time

board.classList.add("board--one");
document.addEventListener("board:show", ({ detail }) => turnTo(detail));
for (const tab of document.querySelectorAll("[data-tab]")) {
  tab.addEventListener("click", (event) => {
    event.preventDefault();
    turnTo(tab.dataset.tab);
  });
}

// A swipe and a tab say the same: the columns stand side by side, and one of them fills the screen.
function turnTo(name) {
  const column = board.querySelector(`[data-column="${name}"]`);
  if (isNarrow.matches) board.scrollTo({ left: column.offsetLeft - board.firstElementChild.offsetLeft, behavior: "instant" });
  mark(name);
}

function mark(name) {
  for (const tab of document.querySelectorAll("[data-tab]")) {
    if (tab.dataset.tab === name) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
  sessionStorage.setItem("column", name);
  document.querySelector(`[data-tab="${name}"]`).scrollIntoView({ inline: "nearest", block: "nearest" });
}

board.addEventListener("scrollend", () => {
  if (!isNarrow.matches) return;
  const columns = [...board.querySelectorAll("[data-column]")];
  const here = columns.reduce((one, other) => (distance(other) < distance(one) ? other : one));
  mark(here.dataset.column);
});

function distance(column) {
  return Math.abs(column.offsetLeft - board.firstElementChild.offsetLeft - board.scrollLeft);
}

turnTo(sessionStorage.getItem("column") ?? "planning");
