// The keyboard.
import { choose, closeDetail, openChosen, toggleLive } from './list.js';

function isTyping(target) {
  return target.closest('input:not([type="range"]), textarea, select, [contenteditable]') !== null;
}

function switchTab(number) {
  const tabs = document.querySelectorAll('.tabs [role="tab"]');
  tabs[number - 1]?.click();
}

// Among tabs the arrows go from one to the next, and around.
function nextTab(tab, step) {
  const tabs = [...tab.parentElement.children];
  const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
}

function escape(target) {
  const help = document.getElementById('help');
  if (help.open) return;
  if (isTyping(target)) target.blur();
  else if (!closeDetail()) document.querySelector('a[data-back]')?.click();
}

export function startKeys() {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === 'Escape') {
      escape(event.target);
      return;
    }
    if (isTyping(event.target) || document.getElementById('help').open) return;
    const actions = {
      '/': () => {
        const box = document.getElementById('q');
        if (!box) return location.assign('/exchanges');
        box.focus();
        box.select();
      },
      j: () => choose(1),
      k: () => choose(-1),
      l: toggleLive,
      '?': () => document.getElementById('help').showModal(),
      Enter: () => event.target.closest('a, button, summary, #detail') ? false : openChosen(),
      ArrowRight: () => event.target.matches('[role="tab"]') && nextTab(event.target, 1),
      ArrowLeft: () => event.target.matches('[role="tab"]') && nextTab(event.target, -1),
      1: () => switchTab(1),
      2: () => switchTab(2),
      3: () => switchTab(3),
      4: () => switchTab(4),
    };
    const action = actions[event.key];
    if (action && action() !== false) event.preventDefault();
  });
}
