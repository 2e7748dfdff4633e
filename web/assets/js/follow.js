// An exchange that is under way: what is new of it is put in its place, and the reader keeps theirs.
import { elapsed } from './list.js';

const EVERY_MS = 2000;
// The parts of the tab as they were served, each with its element: what the reader opened or loaded since does not
// make a part look changed.
let served = [];
let asking = false;

const head = () => document.querySelector('#detail .head[data-running]');

function remember() {
  const tab = document.getElementById('tab');
  served = head() && tab ? [...tab.children].map((node) => ({ text: node.outerHTML, node })) : [];
}

async function ask() {
  const running = head();
  if (!running || asking || document.visibilityState !== 'visible') return;
  const id = running.dataset.exchange;
  const tab = document.querySelector('#detail .tabs [aria-selected="true"]')?.dataset.tab ?? 'conversation';
  asking = true;
  try {
    const response = await fetch(`/exchanges/${id}?tab=${tab}&seen=${encodeURIComponent(running.dataset.seen)}`, {
      headers: { 'HX-Request': 'true', 'HX-Target': 'detail' },
    });
    // 204: nothing is new. And the reader may have gone on meanwhile.
    if (response.status !== 200 || head() !== running) return;
    const now = document.querySelector('#detail .tabs [aria-selected="true"]')?.dataset.tab ?? 'conversation';
    if (now === tab) show(running, await response.text());
  } catch {
    // The server is away for a moment: ask again.
  } finally {
    asking = false;
  }
}

function show(running, html) {
  const page = new DOMParser().parseFromString(html, 'text/html');
  const newHead = page.querySelector('.head');
  const newTab = page.getElementById('tab');
  if (!newHead || !newTab) return;
  const parts = [...newTab.children].map((node) => ({ text: node.outerHTML, node }));
  replace(running, newHead);
  patch(document.getElementById('tab'), parts);
}

// Only the run of parts that differs is touched.
function patch(tab, parts) {
  const same = (mine, theirs) => mine?.text === theirs?.text;
  const most = Math.min(served.length, parts.length);
  let start = 0;
  while (start < most && same(served[start], parts[start])) start += 1;
  let end = 0;
  while (end < most - start && same(served.at(-1 - end), parts.at(-1 - end))) end += 1;
  const old = served.slice(start, served.length - end);
  const fresh = parts.slice(start, parts.length - end);
  const behind = served.slice(served.length - end).find(({ node }) => node.isConnected)?.node ?? null;
  fresh.forEach((part, at) => {
    const there = old[at]?.node;
    if (there?.isConnected && there.tagName === part.node.tagName) replace(there, part.node);
    else tab.insertBefore(part.node, behind);
    htmx.process(part.node);
  });
  old.slice(fresh.length).forEach(({ node }) => node.remove());
  for (let at = 0; at < end; at += 1) parts[parts.length - 1 - at].node = served[served.length - 1 - at].node;
  for (let at = 0; at < start; at += 1) parts[at].node = served[at].node;
  served = parts;
}

const REACHABLE = 'a, button, summary, input, select, [tabindex]';

// What was open stays open, what was scrolled to stays in sight, and the focus stays where it was.
function replace(old, fresh) {
  const pairs = (selector) => {
    const theirs = fresh.querySelectorAll(selector);
    return [...old.querySelectorAll(selector)].map((mine, at) => [mine, theirs[at]]).filter(([, its]) => its);
  };
  for (const [mine, its] of pairs('details')) its.open = mine.open;
  const focused = pairs(REACHABLE).find(([mine]) => mine === document.activeElement)?.[1];
  const scrolled = pairs('.raw').map(([mine, its]) => [its, mine.scrollTop]);
  old.replaceWith(fresh);
  for (const [its, top] of scrolled) its.scrollTop = top;
  focused?.focus({ preventScroll: true });
}

function count() {
  const running = head();
  const shown = running?.querySelector('[data-elapsed]');
  if (!shown) return;
  running.skew ??= Date.now() - Number(running.dataset.now);
  shown.textContent = elapsed(Date.now() - running.skew - Number(running.dataset.running));
}

export function startFollowing() {
  remember();
  document.addEventListener('htmx:afterSettle', (event) => {
    if (['detail', 'tab'].includes(event.detail.target.id)) remember();
  });
  setInterval(ask, EVERY_MS);
  setInterval(count, 200);
}
