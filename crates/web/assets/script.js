'use strict';
// Makes the pages faster to work with. Everything works without it: what it presses is on the page.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  document.documentElement.classList.add('live');

  // What the keys walk over: findings where they can be picked, else things in a list.
  const stops = () => {
    const rows = all('[data-row]');
    return rows.filter(row => row.offsetParent !== null);
  };
  const way = row => one('a[data-go]', row) || one('a', row);
  const here = () => document.activeElement?.closest('[data-row]');
  const move = by => {
    const list = stops();
    if (!list.length) return;
    const at = list.indexOf(here());
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)];
    way(next)?.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
  };

  // What is picked, and the form that acts on it.
  const picks = all('input[type=checkbox][name=f]');
  const act = one('.act.sticky');
  const told = one('#picked');
  const tell = () => {
    let count = 0;
    for (const pick of picks) {
      pick.closest('[data-row]')?.classList.toggle('on', pick.checked);
      count += pick.checked;
    }
    if (act) act.classList.toggle('idle', count === 0);
    if (act && count && !act.open) act.open = true;
    if (told) told.textContent = `${count} of ${picks.length} selected`;
    const everyone = one('#all');
    if (everyone) {
      everyone.checked = count === picks.length;
      everyone.indeterminate = count > 0 && count < picks.length;
    }
  };
  for (const pick of picks) pick.addEventListener('change', tell);
  // A range, from the last that was picked, with the shift key.
  let last = -1;
  picks.forEach((pick, at) => pick.addEventListener('click', event => {
    if (event.shiftKey && last >= 0) {
      for (const between of picks.slice(Math.min(at, last), Math.max(at, last) + 1)) between.checked = pick.checked;
      tell();
    }
    last = at;
  }));
  const everyone = one('#all');
  if (everyone) {
    everyone.closest('[hidden]')?.removeAttribute('hidden');
    everyone.addEventListener('change', () => {
      for (const pick of picks) pick.checked = everyone.checked;
      tell();
    });
  }
  tell();

  // A choice shows the fields that it needs.
  for (const form of all('form[data-decide]')) {
    const show = () => {
      const state = one('input[name=state]:checked', form)?.value || '';
      for (const field of all('[data-for]', form)) field.hidden = !field.dataset.for.split(' ').includes(state);
    };
    form.addEventListener('change', show);
    show();
    // Twice pressed is once sent.
    form.addEventListener('submit', () => {
      for (const button of all('button', form)) setTimeout(() => { button.disabled = true; });
    });
  }
  addEventListener('pageshow', () => { for (const button of all('form[data-decide] button')) button.disabled = false; tell(); });

  // A filter acts when it is chosen.
  for (const form of all('form[data-filter]')) {
    form.addEventListener('change', () => form.requestSubmit());
    for (const button of all('button', form)) button.classList.add('unseen');
  }

  const help = one('#help');
  one('#keys')?.removeAttribute('hidden');
  one('#keys')?.addEventListener('click', () => help.showModal());
  one('#help button')?.addEventListener('click', () => help.close());
  const ways = { h: '/', q: '/queue', m: '/mine', c: '/channels', a: '/activity', d: '/data', p: '/issues' };
  let going = 0;
  addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    const typing = event.target.closest?.('input:not([type=checkbox], [type=radio]), select, textarea');
    if (event.key === 'Escape') {
      if (typing) typing.blur();
      else if (picks.some(pick => pick.checked)) { for (const pick of picks) pick.checked = false; tell(); }
      return;
    }
    if (typing) return;
    const choose = state => {
      const form = one('form[data-decide]');
      const choice = form && one(`input[name=state][value=${state}]`, form);
      if (!choice) return;
      // On a list, what has the focus is meant where nothing is picked.
      if (picks.length && !picks.some(pick => pick.checked)) {
        const pick = here() && one('input[type=checkbox][name=f]', here());
        if (!pick) return;
        pick.checked = true;
        tell();
      }
      const fold = choice.closest('details');
      if (fold) fold.open = true;
      choice.checked = true;
      form.dispatchEvent(new Event('change'));
      const field = all('[data-for]:not([hidden]) :is(select, textarea, input)', form)[0] || one('button', form);
      field.focus();
    };
    if (going && event.timeStamp - going < 1500 && ways[event.key]) { location.assign(ways[event.key]); return; }
    going = 0;
    switch (event.key) {
      case '/': event.preventDefault(); one('#q').focus(); one('#q').select(); break;
      case 'j': move(1); break;
      case 'k': move(-1); break;
      case 'g': going = event.timeStamp; break;
      case '?': help?.showModal(); break;
      case 'x': {
        const pick = here() && one('input[type=checkbox][name=f]', here());
        if (pick) { pick.checked = !pick.checked; tell(); }
        break;
      }
      case 'o': { const fold = here() && one('details', here()); if (fold) fold.open = !fold.open; break; }
      case 'c': event.preventDefault(); choose('confirmed'); break;
      case 'n': event.preventDefault(); choose('not_affected'); break;
      case 'r': event.preventDefault(); choose('needs_review'); break;
      case 'p': one('a[data-publish]')?.click(); break;
      case 'u': one('form[data-undo] button')?.focus(); break;
    }
  });
})();
