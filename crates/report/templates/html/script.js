'use strict';
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const tools = one('#tools'), table = one('table.list'), told = one('#told');
  const fields = { q: one('#q'), show: one('#show'), sev: one('#sev'), scope: one('#scope'), sort: one('#sort') };
  const letters = { critical: 'c', high: 'h', medium: 'm', low: 'l', unrated: 'u' };
  // The end of a long list is folded behind this.
  const more = one('.more'), most = more ? all('.list > tbody').indexOf(more) : 0;
  const rows = table ? [...table.tBodies].filter(body => body !== more).map((body, rank) => {
    const [affected, worst, needed] = body.dataset.k.split(',').map(Number);
    return { body, rank, affected, worst, needed, name: one('b', body).textContent, toggle: one('details', body) };
  }) : [];
  const groups = all('.g');
  const selected = new Set();
  let state = {};

  // The text of an element, in lower case, made once.
  const texts = new WeakMap();
  const textOf = element => {
    if (!texts.has(element)) texts.set(element, element.textContent.toLowerCase());
    return texts.get(element);
  };

  // The state is the fragment, and nothing else: #q=openssl&show=exploited&sort=name&open=in-sudo-1.9
  const read = () => {
    const hash = location.hash.slice(1);
    if (hash && !hash.includes('=')) return false;
    const given = new URLSearchParams(hash);
    state = { open: new Set((given.get('open') || '').split(',').filter(Boolean)) };
    for (const name in fields) state[name] = given.get(name) || '';
    return true;
  };
  const fragment = () => {
    const out = new URLSearchParams();
    for (const name in fields) if (state[name]) out.set(name, state[name]);
    if (state.open.size) out.set('open', [...state.open].join(','));
    return '#' + out.toString().replaceAll('%2C', ',');
  };
  const write = () => history.replaceState(null, '', fragment());

  // The class of a finding's severity: its own, or that of the batch in which it is.
  const severityOf = item => (one('.s', item) || one('.s', item.closest('.batch'))).classList[1];

  // Shows the findings that fit within an element; how many.
  const findings = (within, words, exploited) => {
    const list = all('.f, .batch li', within);
    const named = words.length && !list.some(item => words.every(word => textOf(item).includes(word)));
    let shown = 0;
    for (const item of list) {
      const fits = (!exploited || item.classList.contains('ex'))
        && (!state.sev || severityOf(item) === letters[state.sev])
        && (named || words.every(word => textOf(item).includes(word)));
      item.hidden = !fits;
      shown += fits;
    }
    for (const batch of all('.batch', within)) batch.hidden = !one('li:not([hidden])', batch);
    return shown;
  };

  const orders = {
    name: (a, b) => a.name.localeCompare(b.name),
    affected: (a, b) => b.affected - a.affected,
    severity: (a, b) => a.worst - b.worst || b.affected - a.affected,
    needed: (a, b) => b.needed - a.needed,
  };

  const apply = () => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const narrowed = words.length || state.sev || state.scope || state.show;
    for (const name in fields) if (fields[name]) fields[name].value = state[name];
    for (const section of all('[data-section]')) {
      const name = section.dataset.section;
      const wanted = state.show === 'exploited' ? 'affected' : state.show;
      section.classList.toggle('off', Boolean(wanted) && wanted !== name);
      const everything = one('.all', section);
      if (everything && (state.show === name || (words.length && !state.show))) everything.open = true;
    }
    let packages = 0, count = 0;
    for (const row of rows) {
      const fits = words.every(word => textOf(row.body).includes(word))
        && (!state.scope || row.body.dataset.scope === state.scope);
      const shown = fits ? findings(row.body, words, state.show === 'exploited') : 0;
      row.body.hidden = !shown;
      row.toggle.open = state.open.has(row.body.id);
      packages += Boolean(shown);
      count += shown;
    }
    for (const group of groups) {
      const fits = words.every(word => textOf(group).includes(word));
      group.hidden = !(fits && findings(group, words, false));
    }
    // A section of which nothing fits is not worth a look, unless it was asked for.
    for (const section of all('[data-section]:has(.g)')) {
      if (narrowed && !state.show && !one('.g:not([hidden])', section)) section.classList.add('off');
    }
    if (table) {
      const sorted = orders[state.sort] ? [...rows].sort((a, b) => orders[state.sort](a, b) || a.rank - b.rank) : rows;
      const bodies = sorted.map(row => row.body);
      if (more) {
        const shown = bodies.filter(body => !body.hidden);
        const tail = new Set(shown.length > most * 1.2 ? shown.slice(most) : []);
        for (const body of bodies) body.classList.toggle('tail', tail.has(body));
        more.hidden = tail.size === 0;
        one('span', more).textContent = tail.size.toLocaleString('en');
        bodies.splice(tail.size ? bodies.indexOf(shown[most]) : bodies.length, 0, more);
      }
      if (bodies.some((body, at) => table.tBodies[at] !== body)) table.append(...bodies);
      for (const head of all('thead th', table)) {
        const is = head.dataset.sort && head.dataset.sort === state.sort;
        if (is) head.setAttribute('aria-sort', state.sort === 'name' ? 'ascending' : 'descending');
        else head.removeAttribute('aria-sort');
      }
      table.hidden = packages === 0;
      one('.none').hidden = packages > 0;
    }
    one('#clear').hidden = !narrowed;
    told.textContent = narrowed && rows.length ? `${packages} of ${rows.length} packages, ${count} ${count === 1 ? 'finding' : 'findings'}` : '';
  };
  const set = changes => { Object.assign(state, changes); write(); apply(); };

  // Opens a package or a group, and all around it.
  const reveal = element => {
    const row = rows.find(row => row.body.contains(element));
    if (row) { row.toggle.open = true; row.body.hidden = false; row.body.classList.remove('tail'); }
    for (let up = element; up; up = up.parentElement) if (up.localName === 'details') up.open = true;
    element.scrollIntoView({ block: row && row.body === element ? 'start' : 'nearest' });
  };

  for (const name in fields) fields[name]?.addEventListener('input', event => set({ [name]: event.target.value.trim() }));
  one('#clear').addEventListener('click', () => { set({ q: '', show: '', sev: '', scope: '' }); fields.q.focus(); });
  for (const row of rows) {
    row.toggle.addEventListener('toggle', () => {
      if (row.toggle.open === state.open.has(row.body.id)) return;
      if (row.toggle.open) state.open.add(row.body.id); else state.open.delete(row.body.id);
      write();
    });
    row.body.rows[0].addEventListener('click', event => {
      if (event.target.closest('summary, a') || String(getSelection())) return;
      row.toggle.open = !row.toggle.open;
    });
  }
  for (const head of all('thead th[data-sort]')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => set({ sort: state.sort === head.dataset.sort ? '' : head.dataset.sort }));
  }
  table?.classList.add('live');
  tools.hidden = rows.length + groups.length === 0;

  // A link within the page opens what it leads to, and leaves the state alone; a state is taken on.
  document.addEventListener('click', event => {
    const link = event.target.closest('a');
    const to = link && (link.getAttribute('href') || link.href?.baseVal || '');
    if (!to || !to.startsWith('#') || to.includes('=')) return;
    const element = document.getElementById(to.slice(1));
    if (!element) return;
    event.preventDefault();
    reveal(element);
    one('summary', element)?.focus({ preventScroll: true });
  });
  const follow = scroll => {
    if (!read()) return;
    apply();
    if (scroll && (state.show || state.sev)) {
      const name = state.show === 'exploited' || !state.show ? 'affected' : state.show;
      one(`[data-section="${CSS.escape(name)}"]`)?.scrollIntoView();
    }
  };
  addEventListener('hashchange', () => follow(true));

  // Keys.
  const help = one('#help'), bulk = one('#bulk');
  // What lies in a closed part has a place in the layout all the same.
  const visible = () => all('main summary').filter(summary => summary.offsetParent
    && !summary.parentElement.parentElement.closest('details:not([open])'));
  const move = by => {
    const list = visible();
    const at = list.indexOf(document.activeElement);
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: 'nearest' });
  };
  const select = row => {
    if (row && !selected.delete(row)) selected.add(row);
    if (!row) selected.clear();
    for (const each of rows) each.body.classList.toggle('on', selected.has(each));
    bulk.hidden = selected.size === 0;
    one('#selected').textContent = selected.size === 1 ? '1 package' : `${selected.size} packages`;
  };
  addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const typing = event.target.closest?.('input, select');
    if (event.key === 'Escape') {
      if (typing) typing.blur();
      if (selected.size) select(); else if (state.q) set({ q: '' });
      return;
    }
    if (typing) return;
    if (event.key === '/') { event.preventDefault(); fields.q.focus(); fields.q.select(); }
    else if (event.key === 'j') move(1);
    else if (event.key === 'k') move(-1);
    else if (event.key === '?') help.showModal();
    else if (event.key === 'x') {
      const row = rows.find(row => row.body.contains(document.activeElement));
      if (row) select(row);
    }
  });
  one('#keys').addEventListener('click', () => help.showModal());
  one('#help button').addEventListener('click', () => help.close());
  one('#unselect').addEventListener('click', () => select());
  one('#copy').addEventListener('click', async event => {
    const list = rows.filter(row => selected.has(row)).map(row => {
      const cells = row.body.rows[0].cells;
      return `${cells[0].innerText.trim()}: ${cells[1].innerText.trim()}`;
    }).join('\n');
    try { await navigator.clipboard.writeText(list); event.target.textContent = 'Copied'; }
    catch { event.target.textContent = 'Not allowed here'; }
    setTimeout(() => { event.target.textContent = 'Copy as list'; }, 2000);
  });

  if (!read()) {
    state = { open: new Set() };
    for (const name in fields) state[name] = '';
  }
  apply();
  if (location.hash.includes('=')) follow(true);
  else if (location.hash) {
    const element = document.getElementById(location.hash.slice(1));
    if (element) reveal(element);
  }
})();
