/** Lists of nodes, rooms and members: rows that stay the same elements while what they show changes. */

import { Chart, count, rate, WRITTEN } from "./charts.js";

const GONE_FOR = 60_000;

/** The rows of a list, each under a key. What has the focus keeps it. */
export class Rows {
  #list;
  #template;
  #fill;
  #rows = new Map();
  #page = "";

  /** @param fill called with (row, item), also with a new row. */
  constructor(list, template, fill) {
    this.#list = list;
    this.#template = template;
    this.#fill = fill;
  }

  /**
   * Show these items [key, item] in their order. While somebody points at the list, or is in it with the keyboard,
   * nothing moves: the row that is about to be clicked stays where it is.
   */
  show(items, page = "") {
    const isHeld = page === this.#page && this.#rows.size > 0 && this.#list.matches(":hover, :focus-within");
    this.#page = page;
    if (isHeld) {
      const current = new Map(items);
      for (const [key, row] of this.#rows) {
        row.classList.toggle("stale", !current.has(key));
        if (current.has(key)) this.#fill(row, current.get(key));
      }
      return;
    }
    const kept = new Map();
    let next = this.#list.firstElementChild;
    for (const [key, item] of items) {
      const row = this.#rows.get(key) ?? this.#template.content.firstElementChild.cloneNode(true);
      if (row === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row, next);
      row.classList.remove("stale");
      this.#fill(row, item);
      kept.set(key, row);
    }
    for (const [key, row] of this.#rows) if (!kept.has(key)) row.remove();
    this.#rows = kept;
  }
}

/** Which part of a long list is shown, and the way to the next. */
export class Pager {
  #place;
  #offset = 0;
  #size;

  constructor(place, size, onTurn) {
    this.#place = place;
    this.#size = size;
    for (const button of place.querySelectorAll("button")) {
      button.addEventListener("click", () => onTurn(Math.max(this.#offset + Number(button.dataset.step) * size, 0)));
    }
  }

  show(offset, shown, matching, none) {
    this.#offset = offset;
    const range = this.#place.querySelector("[data-range]");
    const text = shown ? `${count(offset + 1)}–${count(offset + shown)} of ${count(matching)}` : none;
    if (range.textContent !== text) range.textContent = text;
    const [back, on] = this.#place.querySelectorAll("button");
    back.disabled = offset === 0;
    on.disabled = offset + shown >= matching;
    back.hidden = on.hidden = matching <= this.#size && offset === 0;
  }
}

/** The nodes, those among them that were here a minute ago. */
export class Nodes {
  #rows;
  #seen = new Map();
  #charts = new WeakMap();

  constructor(list, template) {
    this.#rows = new Rows(list, template, (row, seen) => this.#fill(row, seen));
  }

  show(nodes) {
    const now = Date.now();
    const here = new Set(nodes.map(({ id }) => id));
    for (const node of nodes) this.#seen.set(node.id, { node, at: now });
    for (const [id, { at }] of this.#seen) if (now - at > GONE_FOR) this.#seen.delete(id);
    const gone = [...this.#seen.values()].filter(({ node }) => !here.has(node.id));
    const items = [...nodes.map((node) => this.#seen.get(node.id)), ...gone].map((seen) => [seen.node.id, { ...seen, isGone: !here.has(seen.node.id) }]);
    this.#rows.show(items, items.map(([id, { isGone }]) => `${id}${isGone}`).join());
  }

  #fill(row, { node, at, isGone }) {
    row.querySelector(".host").textContent = node.host;
    row.querySelector(".pid").textContent = `process ${node.pid}`;
    row.classList.toggle("gone", isGone);
    const since = new Date(node.since * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    row.querySelector(".detail").textContent = isGone
      ? `Gone ${Math.round((Date.now() - at) / 1000)} s ago`
      : `${node.id}, Roomcast ${node.version}, since ${since}`;
    for (const place of row.querySelectorAll("[data-field]")) {
      place.textContent = isGone ? "–" : WRITTEN[place.dataset.field](node[place.dataset.field]);
    }
    if (!this.#charts.has(row)) this.#charts.set(row, new Chart(row, "Delivered", rate, { withValue: false }));
    this.#charts.get(row).add(isGone ? 0 : node.delivered);
  }
}

/** What a member is called: by the app, or else by its user, or else nothing. */
export function nameOf({ info, user }) {
  return info || user || "Nameless";
}

export function fillMember(row, member) {
  row.querySelector(".name").textContent = nameOf(member);
  row.querySelector(".id").textContent = member.user && member.user !== member.info ? `${member.user}, ${member.id}` : member.id;
  row.querySelector(".since").textContent = `since ${new Date(member.since * 1000).toLocaleTimeString("en-GB")}`;
  const button = row.querySelector("button");
  button.setAttribute("aria-label", `Disconnect ${nameOf(member)}…`);
  button.member = member;
}

export function fillRoom(row, { name, members, largest, isChosen }) {
  row.querySelector(".name").textContent = name;
  row.querySelector(".count").textContent = count(members);
  row.querySelector(".share").style.inlineSize = `${(100 * members) / (largest || 1)}%`;
  const button = row.querySelector("button");
  button.title = name;
  button.room = name;
  button.setAttribute("aria-pressed", isChosen);
}
