// Cards follow the pointer. Own pointer events: a drop where nothing takes the card changes nothing, and Escape puts it
// back. A finger must rest on a card first, so that a swipe still scrolls. A card that was dragged never opens.

import { hold, release } from "./live.js";
import { drop, isAsked, moveFor, nameOf } from "./moves.js";
import { announce } from "./say.js";
import { aim, dim, light, planBelow } from "./targets.js";

const SLOP = 5; // px a mouse moves before it drags
const TOUCH_SLOP = 10;
const LONG_PRESS = 350; // ms
const THUMB = 24; // px that a card hangs below a finger, which would hide what is under it
const SMALL = 210; // px wide while it does
const EDGE = 56; // px from an edge, where the board scrolls
const STEP = 14;

let hand = null; // {card, pointer, isTouch, x, y, timer, ghost, place, before}

export function start(root) {
  root.addEventListener("pointerdown", press);
  root.addEventListener("dragstart", (event) => event.preventDefault());
  root.addEventListener("contextmenu", (event) => hand?.isTouch && event.preventDefault());
  document.addEventListener("touchmove", (event) => hand?.ghost && event.preventDefault(), { passive: false });
}

function press(event) {
  const card = event.target.closest(".card[id], .lib");
  if (!card || hand || event.button || !event.isPrimary || isAsked(card)) return;
  if (event.target.closest("button, input, .acts")) return;
  hand = { card, pointer: event.pointerId, isTouch: event.pointerType === "touch", x: event.clientX, y: event.clientY };
  if (hand.isTouch) hand.timer = setTimeout(lift, LONG_PRESS);
  addEventListener("pointermove", move);
  addEventListener("pointerup", letGo);
  addEventListener("pointercancel", cancel);
  addEventListener("keydown", escape, true);
  addEventListener("blur", cancel);
}

function move(event) {
  if (event.pointerId !== hand.pointer) return;
  const far = Math.hypot(event.clientX - hand.x, event.clientY - hand.y);
  if (!hand.ghost && hand.isTouch && far > TOUCH_SLOP) return void finish();
  if (!hand.ghost && !hand.isTouch && far > SLOP) lift();
  if (hand.ghost) follow(event.clientX, event.clientY);
}

function lift() {
  const { card } = hand;
  const box = card.getBoundingClientRect();
  hand.ghost = card.cloneNode(true);
  hand.ghost.removeAttribute("id");
  hand.ghost.classList.add("is-dragging", "ghost");
  hand.ghost.inert = true;
  hand.ghost.style.inlineSize = `${hand.isTouch ? Math.min(box.width, SMALL) : box.width}px`;
  hand.dx = hand.isTouch ? -SMALL / 3 : box.left - hand.x;
  hand.dy = hand.isTouch ? THUMB : box.top - hand.y;
  document.body.append(hand.ghost);
  document.body.classList.add("has-hand");
  card.classList.add("is-lifted");
  hold(card.id);
  if (card.closest(":popover-open")) document.getElementById("drawer").hidePopover(); // the columns are behind it
  light(card);
  follow(hand.x, hand.y);
  if (hand.isTouch) navigator.vibrate?.(12);
  announce(`${nameOf(card)} lifted.`);
}

function follow(x, y) {
  hand.ghost.style.translate = `${x + hand.dx}px ${y + hand.dy}px`;
  scroll(x, y);
  const found = document.elementFromPoint(x, y)?.closest("[data-column], [data-tab], #drawer");
  const place = found?.dataset.column ?? found?.dataset.tab ?? (found ? "library" : null);
  const before = place === "planning" && found.dataset.column ? planBelow(y, hand.card) : null;
  if (place === hand.place && before === hand.before) return;
  Object.assign(hand, { place, before });
  aim(hand.card, isHome() && !moveFor(hand.card, place) ? null : place, before);
}

function isHome() {
  return hand.place === hand.card.dataset.in;
}

function scroll(x, y) {
  const board = document.getElementById("board");
  const edge = board.getBoundingClientRect();
  if (x > edge.right - EDGE) board.scrollLeft += STEP;
  else if (x < edge.left + EDGE) board.scrollLeft -= STEP;
  const list = document.elementFromPoint(x, y)?.closest("[data-cards]");
  if (!list) return;
  const box = list.getBoundingClientRect();
  if (y > box.bottom - EDGE) list.scrollTop += STEP;
  else if (y < box.top + EDGE) list.scrollTop -= STEP;
}

function letGo(event) {
  if (event.pointerId !== hand.pointer) return;
  const { card, ghost, place, before } = hand;
  if (ghost) swallowClick();
  const stays = !ghost || !place || (isHome() && (!moveFor(card, place) || isThere(card, before)));
  finish();
  if (!stays) drop(card, place, before);
  else if (ghost) announce(`${nameOf(card)} stays where it is.`);
}

function isThere(card, before) {
  let next = card.nextElementSibling;
  while (next && !next.matches(".card[id]")) next = next.nextElementSibling;
  return (next ?? null) === before;
}

function escape(event) {
  if (event.key !== "Escape" || !hand.ghost) return;
  event.preventDefault();
  event.stopPropagation();
  cancel();
}

function cancel() {
  if (hand?.ghost) announce(`${nameOf(hand.card)} stays where it is.`);
  finish();
}

function finish() {
  clearTimeout(hand.timer);
  if (hand.ghost) {
    hand.ghost.remove();
    hand.card.classList.remove("is-lifted");
    document.body.classList.remove("has-hand");
    dim();
    release(hand.card.id);
  }
  hand = null;
  removeEventListener("pointermove", move);
  removeEventListener("pointerup", letGo);
  removeEventListener("pointercancel", cancel);
  removeEventListener("keydown", escape, true);
  removeEventListener("blur", cancel);
}

function swallowClick() {
  const swallow = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", swallow, true), 50);
}
