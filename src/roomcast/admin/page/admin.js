/** The operator's page: what all nodes do, and what can be done about it. */

import { Chart, count, WRITTEN } from "./charts.js";
import { Confirm } from "./confirm.js";
import { fillMember, fillRoom, nameOf, Nodes, Pager, Rows } from "./lists.js";
import { Live } from "./live.js";

const TOKEN = "roomcast.admin.token";
const ROOMS_A_PAGE = 50;
const MEMBERS_A_PAGE = 50;
const MOST_IN_NOTICE = 2000;
const MOST_IN_REASON = 120;
const TYPING_PAUSE = 200;
const TOAST_FOR = 8000;
const STATES = {
  "signed-out": "",
  connecting: "Connecting…",
  connected: "Live",
  reconnecting: "Connection lost, trying again",
  offline: "Offline, trying again",
};

const byId = (id) => document.getElementById(id);

const view = { search: "", offset: 0, room: null, member: "", member_offset: 0 };
let chosenCount = 0;
let isIn = false;

function remember(token) {
  try {
    if (token) sessionStorage.setItem(TOKEN, token);
    else sessionStorage.removeItem(TOKEN);
  } catch {
    // Then it has to be typed again after a reload.
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

/* What is shown */

const charts = Object.fromEntries(
  Array.from(document.querySelectorAll("[data-total]"), (place) => {
    const { total } = place.dataset;
    return [total, new Chart(place, place.querySelector("figcaption").textContent, WRITTEN[total])];
  }),
);
const nodes = new Nodes(byId("nodes"), byId("node-template"));
const rooms = new Rows(byId("rooms"), byId("room-template"), fillRoom);
const members = new Rows(byId("members"), byId("member-template"), fillMember);
const roomsPager = new Pager(document.querySelector(".rooms .pager"), ROOMS_A_PAGE, (offset) => look({ offset }));
const membersPager = new Pager(document.querySelector(".room .pager"), MEMBERS_A_PAGE, (offset) => look({ member_offset: offset }));

function showState({ totals, nodes: told, largest, rooms: list, room }) {
  showTrouble("");
  for (const [total, value] of Object.entries(totals)) charts[total]?.add(value);
  nodes.show(told);
  byId("nodes-count").textContent = count(totals.nodes);
  byId("more-nodes").hidden = told.length === totals.nodes;
  byId("more-nodes").textContent = `and ${count(totals.nodes - told.length)} more`;
  showRooms(list, largest);
  if (room?.name === view.room) showRoom(room);
}

function showRooms({ search, offset, matching, page }, largest) {
  if (search !== view.search || offset !== view.offset) return; // the answer to an earlier question
  if (offset > 0 && page.length === 0) {
    look({ offset: 0 });
    return;
  }
  const items = page.map(([name, size]) => [name, { name, members: size, largest, isChosen: name === view.room }]);
  rooms.show(items, `${offset} ${search}`);
  roomsPager.show(offset, page.length, matching, search ? "No room is called like that" : "No room has members");
}

function showRoom({ name, count: size, matching, page, member, offset }) {
  charts.room.add(size);
  chosenCount = size;
  byId("too-many").hidden = matching !== null;
  byId("member-search").parentElement.hidden = matching === null;
  if (member !== view.member || offset !== view.member_offset) return;
  if (offset > 0 && page.length === 0 && matching !== null) {
    look({ member_offset: 0 });
    return;
  }
  members.show(page.map((item) => [item.id, item]), JSON.stringify([name, member, offset]));
  const none = matching === null ? "" : member ? "No member is called like that" : "Nobody is in this room";
  membersPager.show(offset, page.length, matching ?? 0, none);
}

/** What the server cannot find out just now; "" where there is nothing. */
function showTrouble(text) {
  document.body.classList.toggle("troubled", text !== "");
  if (byId("trouble").textContent !== text) byId("trouble").textContent = text;
  byId("trouble").hidden = text === "";
}

function showStatus(state, detail = "") {
  document.body.dataset.state = state;
  byId("status").textContent = detail ? `${STATES[state]}: ${detail}` : STATES[state];
  // Until the first token was right, there is nothing else to show.
  isIn = state !== "signed-out" && (isIn || state === "connected");
  byId("sign-in").hidden = isIn;
  byId("board").hidden = byId("sign-out").hidden = !isIn;
}

function askForToken(problem = "") {
  remember(null);
  live.close();
  showStatus("signed-out");
  byId("token").value = "";
  byId("token-error").textContent = problem;
  byId("token").focus();
}

let toastEnds;
function toast(text) {
  byId("toast").textContent = text;
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => (byId("toast").textContent = ""), TOAST_FOR);
}

const live = new Live({
  state: showState,
  trouble: showTrouble,
  status: showStatus,
  refused: askForToken,
});

/* What is looked at */

function look(changes) {
  Object.assign(view, changes);
  live.look(view);
}

function choose(name) {
  if (name !== view.room) charts.room.clear();
  byId("room").hidden = name === null;
  byId("no-room").hidden = name !== null;
  byId("room-name").textContent = name ?? "";
  byId("member-search").value = "";
  members.show([], "");
  for (const button of document.querySelectorAll("#rooms button")) button.setAttribute("aria-pressed", button.room === name);
  look({ room: name, member: "", member_offset: 0 });
}

function onTyping(input, then) {
  let pause;
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => then(input.value.trim()), TYPING_PAUSE);
  });
}

onTyping(byId("search"), (search) => look({ search, offset: 0 }));
onTyping(byId("member-search"), (member) => look({ member, member_offset: 0 }));

byId("rooms").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  choose(button.room);
  // On a narrow screen the room is below the list.
  const title = byId("room-title");
  if (title.getBoundingClientRect().top > innerHeight) title.focus();
});

/* What is done */

const confirm = new Confirm(async (action) => toast(await live.ask(action)));
const REASON = { label: "Reason, which they are told (may be empty)", most: MOST_IN_REASON, isNeeded: false };
const NOTICE = { label: "Notice", most: MOST_IN_NOTICE, isNeeded: true, yes: "Publish" };

const people = (size) => (size === 1 ? "one member" : `${count(size)} members`);

function askToDisconnect(user) {
  confirm.ask({
    ...REASON,
    title: `Disconnect ${user}?`,
    text: "All connections of this user are closed, in all rooms and on all nodes. Nothing keeps the user from coming back.",
    yes: "Disconnect",
    action: (reason) => ({ type: "disconnect", user, reason }),
  });
}

function askToRemove(member, room) {
  confirm.ask({
    ...REASON,
    title: `Disconnect ${nameOf(member)}?`,
    text: `This one connection, ${member.id}, is closed. The app knows no user for it. Nothing keeps it from coming back.`,
    yes: "Disconnect",
    action: (reason) => ({ type: "remove", room, member: member.id, reason }),
  });
}

byId("members").addEventListener("click", ({ target }) => {
  const member = target.closest("button")?.member;
  if (!member) return;
  if (member.user === null) askToRemove(member, view.room);
  else askToDisconnect(member.user);
});

byId("disconnect-form").addEventListener("submit", (event) => {
  event.preventDefault();
  askToDisconnect(byId("user").value);
});

byId("close-room").addEventListener("click", () => {
  const { room } = view;
  confirm.ask({
    ...REASON,
    title: `Close ${room}?`,
    text: `The connections of ${people(chosenCount)} are closed. The history stays, and who joins later opens the room again.`,
    yes: "Close room",
    action: (reason) => ({ type: "close", room, reason }),
  });
});

byId("notice-room").addEventListener("click", () => {
  const { room } = view;
  confirm.ask({
    ...NOTICE,
    title: `Notice to ${room}`,
    text: `It goes to ${people(chosenCount)} who are in the room now, and is not kept.`,
    action: (text) => ({ type: "notice", room, text }),
  });
});

byId("notice-all").addEventListener("click", () => {
  confirm.ask({
    ...NOTICE,
    title: "Notice to all rooms",
    text: "It goes to all who are in any room now, on all nodes, and is not kept.",
    action: (text) => ({ type: "notice", room: null, text }),
  });
});

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value;
  remember(token);
  live.open(token, view);
});
byId("sign-out").addEventListener("click", () => askForToken());

const token = remembered();
if (token) live.open(token, view);
else byId("token").focus();
