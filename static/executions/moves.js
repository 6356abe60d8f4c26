// What a drop does. The card is put in its new place at once and the server is asked; its answer is the record. Whatever
// it answers but yes puts the card back and says why, and which column it is really in.

import { apply, hold, release } from "./live.js";
import { announce, clearWarnings, toast } from "./say.js";

const tables = JSON.parse(document.getElementById("tables").textContent); // executions/board/columns.py
const OFFLINE = "The server does not answer, so nothing was moved. Try again when the connection is back.";
const FAILED = "That went wrong on the server, so nothing was moved. Try again.";
const asked = new Set(); // ids of cards that the server has been asked about

export function moveFor(card, to) {
  return tables.moves[`${card.dataset.in}>${to}`];
}

export function whyNot(card, to) {
  return tables.refusals[`${card.dataset.in}>${to}`];
}

export function titleOf(place) {
  return tables.titles[place];
}

export function nameOf(card) {
  return card.querySelector(".card__row .id")?.textContent.startsWith("EX-")
    ? card.querySelector(".card__row .id").textContent
    : card.querySelector("h3, b").textContent;
}

export function isAsked(card) {
  return asked.has(card.id);
}

export async function drop(card, to, before = null) {
  if (isAsked(card)) return;
  asked.add(card.id);
  hold(card.id);
  const move = moveFor(card, to);
  try {
    if (!move) refuse(card, whyNot(card, to));
    else if (move.verb === "submit" && card.dataset.formFirst) await openForm(card.dataset.formFirst);
    else if (!move.confirm || (await confirmed(card, move))) await ask(card, to, before, move);
    else announce(`${nameOf(card)} goes on.`);
  } finally {
    asked.delete(card.id);
    release(card.id);
  }
}

async function ask(card, to, before, move) {
  const hadFocus = card.contains(document.activeElement);
  const back = stand(card, to, before, move);
  const answer = await post({ card: card.id, to, before: before?.id ?? "", key: key() });
  if (answer?.redirected) return void location.reload(); // signed out meanwhile
  const text = answer ? await answer.text() : OFFLINE;
  if (answer?.ok) return take(card, text, move, back, hadFocus);
  back();
  if (hadFocus) card.focus();
  if (answer?.status === 422) return openForm(answer.headers.get("Location"));
  refuse(card, answer && answer.status >= 500 ? FAILED : text);
}

// Puts the card (for a task, something that stands for it) where it was dropped; returns what undoes that.
function stand(card, to, before, move) {
  if (move.verb === "cancel" || move.verb === "remove") {
    card.classList.add("is-pending-server");
    return () => card.classList.remove("is-pending-server");
  }
  const list = document.querySelector(`[data-column="${to}"] [data-cards]`);
  const standing = card.dataset.in === "library" ? standIn(card) : card;
  const { parentElement, nextSibling } = standing;
  standing.classList.add("is-pending-server");
  const last = [...list.querySelectorAll(":scope > .card")].at(-1);
  list.insertBefore(standing, before ?? (last === standing ? standing.nextSibling : last?.nextSibling) ?? list.firstChild);
  return () => {
    standing.classList.remove("is-pending-server");
    if (!parentElement) standing.remove();
    else parentElement.insertBefore(standing, nextSibling?.parentElement === parentElement ? nextSibling : null);
  };
}

function standIn(task) {
  const made = document.createElement("div");
  made.className = "card";
  const title = document.createElement("h3");
  title.textContent = nameOf(task);
  made.append(title);
  return made;
}

function take(card, html, move, back, hadFocus) {
  clearWarnings();
  const name = nameOf(card);
  if (move.verb === "place") card.classList.remove("is-pending-server");
  else back();
  const isOver = move.verb === "remove" || (move.verb === "submit" && card.dataset.in === "planning") || !html.trim();
  if (isOver && card.dataset.in !== "library") card.remove();
  const [shown] = html.trim() ? apply(html) : [];
  if (!shown) return void announce(move.verb === "cancel" ? `${name} is cancelled.` : `${name} is off the board; its task is in the library.`);
  shown.classList.remove("is-pending-server");
  flash(shown);
  if (hadFocus) shown.focus();
  told(move.verb === "cancel" ? `${name} is being stopped.` : `${nameOf(shown)} is in ${titleOf(shown.dataset.in)}.`, shown);
}

// On a phone the column it went to may be out of sight.
function told(text, card) {
  announce(text);
  if (card.checkVisibility()) return;
  const show = () => document.dispatchEvent(new CustomEvent("board:show", { detail: card.dataset.in }));
  toast(text, { action: { label: "Show", run: show } });
}

export function flash(card) {
  card.classList.add("flash");
  card.addEventListener("animationend", () => card.classList.remove("flash"), { once: true });
}

function refuse(card, why) {
  const column = card.closest("[data-column]")?.dataset.column;
  const where = column ? ` ${nameOf(card)} is in ${titleOf(column)}.` : "";
  toast(why, { isWarning: true });
  announce(why + where);
  card.classList.add("is-refused");
  setTimeout(() => card.classList.remove("is-refused"), 4000);
}

async function post(said) {
  const token = document.querySelector("#act [name=csrfmiddlewaretoken]").value;
  try {
    return await fetch("/board/move/", {
      method: "POST",
      headers: { "HX-Request": "true", "X-CSRFToken": token },
      body: new URLSearchParams(said),
    });
  } catch {
    return null;
  }
}

// One key a gesture, so that a repeated request is the same request.
function key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function confirmed(card, move) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("h2").textContent = `${move.label} ${nameOf(card)}?`;
  dialog.querySelector("p").textContent = move.confirm;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((wake) => dialog.addEventListener("close", wake, { once: true }));
  return dialog.returnValue === "yes";
}

// A form of another page, shown in the page's dialog. Where it cannot be, the page itself.
export async function openForm(url) {
  const answer = await fetch(url, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return void location.assign(url);
  const body = document.getElementById("dialog-body");
  body.innerHTML = await answer.text();
  window.htmx.process(body);
  document.getElementById("dialog").showModal();
  body.querySelector("[autofocus], [aria-invalid=true], input:not([type=hidden]), textarea, select")?.focus();
  announce(body.querySelector("h1, h2")?.textContent ?? "A form is open.");
}
