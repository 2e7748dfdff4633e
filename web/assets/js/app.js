// What every page does: tells the server its time zone, copies, renews the pulse, and starts what the page holds.
import { startFollowing } from './follow.js';
import { startKeys } from './keys.js';
import { startList } from './list.js';
import { startPlayers } from './player.js';

function tellTimeZone() {
  const minutes = -new Date().getTimezoneOffset();
  const known = document.cookie.match(/(?:^|; )verbatim_tz=(-?\d+)/);
  if (known && Number(known[1]) === minutes) return;
  document.cookie = `verbatim_tz=${minutes}; Path=/; Max-Age=31536000; SameSite=Lax`;
  if (!known && minutes !== 0) showLocalTimes();
}

// The first page comes in UTC: its times are set right in place, without a reload.
function showLocalTimes() {
  const two = (number) => String(number).padStart(2, '0');
  const today = new Date().toDateString();
  for (const element of document.querySelectorAll('.row time')) {
    const time = new Date(element.dateTime);
    if (Number.isNaN(time.getTime())) continue;
    const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
    element.textContent = time.toDateString() === today
      ? `${clock}:${two(time.getSeconds())}`
      : `${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
  }
}

let toastTimer;
export function toast(text) {
  const element = document.getElementById('toast');
  element.textContent = text;
  element.classList.add('on');
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove('on'), 1400);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is no clipboard: the old way still works.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(document.body.dataset.copied);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button.copy');
  if (button) {
    const { copyText, copyFrom } = button.dataset;
    const from = () => copyFrom ? document.querySelector(copyFrom) : button.closest('figure').querySelector('pre');
    copy(copyText ?? from().textContent);
    return;
  }
  if (event.target.closest('#help-open')) document.getElementById('help').showModal();
  const back = event.target.closest('a[data-back]');
  if (back && document.referrer.startsWith(`${location.origin}/exchanges`) && history.length > 1) {
    event.preventDefault();
    history.back();
  }
});

// Pages renew themselves only while somebody looks.
setInterval(() => {
  if (document.visibilityState === 'visible') document.body.dispatchEvent(new Event('refresh'));
}, 5000);

// htmx shows answers with an error status nowhere: say that something went wrong.
document.addEventListener('htmx:sendError', () => toast('…'));

tellTimeZone();
startKeys();
startList();
startFollowing();
startPlayers();
