"use strict";
// What the pages do with a script. All of them work without it.
(() => {
  const doc = document, $ = (s) => doc.querySelector(s), all = (s, e) => [...(e || doc).querySelectorAll(s)], on = (e, f) => doc.addEventListener(e, f);
  const ahead = (Date.parse(doc.documentElement.dataset.now) || Date.now()) - Date.now();
  const span = (s) => s < 60 ? s + " s" : s < 3600 ? (s / 60 | 0) + " min" : s < 172800 ? (s / 3600 | 0) + " h" : (s / 86400 | 0) + " days";
  const make = (name, text, more) => Object.assign(doc.createElement(name), { textContent: text }, more);

  function freshen() {
    for (const t of all("time[datetime]").filter((t) => /^in | ago$|^just/.test(t.textContent))) {
      const s = Math.floor((Date.now() + ahead - Date.parse(t.dateTime)) / 1000);
      t.textContent = s < 0 ? "in " + span(-s) : s < 1 ? "just now" : span(s) + " ago";
    }
  }
  setInterval(freshen, 60000);

  // Copying works in secure contexts only.
  function decorate() {
    for (const code of navigator.clipboard ? all("code[data-copy]:not(.copies)") : []) {
      const b = make("button", "Copy", { type: "button", className: "quiet" });
      b.onclick = () => navigator.clipboard.writeText(code.dataset.copy || code.textContent).then(() => {
        b.textContent = "Copied";
        setTimeout(() => b.textContent = "Copy", 2000);
      });
      code.classList.add("copies");
      code.after(" ", b);
    }
  }
  decorate();
  on("htmx:load", decorate);

  const changed = (f) => f.options ? f.selectedIndex !== Math.max(0, [...f.options].findIndex((o) => o.defaultSelected))
    : /^(checkbox|radio)$/.test(f.type) ? f.checked !== f.defaultChecked : f.value !== f.defaultValue;
  let sent;
  on("submit", () => sent = true);
  addEventListener("pageshow", () => sent = false);
  addEventListener("beforeunload", (e) => {
    if (!sent && all("form[method=post] textarea, form[method=post] input").some((f) => /^text/.test(f.type) && f.value && changed(f))) e.preventDefault();
  });

  const live = $("#live"), word = $("#live-word"), pause = $("#live-pause"), refetch = $("#refetch");
  if (live) {
    let source, wait = 1000, down, failed, paused, missed, held, over, late;
    const refresh = () => void htmx.trigger(refetch, "refresh"), clock = () => new Date(Date.now() + ahead).toTimeString().slice(0, 5);
    const busy = (e) => e.contains(doc.activeElement) || all("input, textarea, select", e).some(changed) || !getSelection().isCollapsed && e.contains(getSelection().anchorNode);
    const show = () => {
      const lost = failed || down;
      const text = over ? "signed out" : lost ? "not live since " + lost : paused ? "paused since " + paused + (missed ? ", there is news" : "") : held ? "live, but for the part that you are in" : "live";
      live.dataset.live = over || lost ? "stale" : paused ? "paused" : held ? "held" : "on";
      if (word.textContent !== text) word.textContent = text;
      pause.textContent = over || lost ? "Reload" : paused ? "Resume" : "Pause";
    };
    const fail = () => {
      failed = failed || clock();
      setTimeout(() => over || paused || refresh(), 15000);
      show();
    };
    // A browser has few connections: a tab that nobody sees needs none.
    const connect = () => {
      if (doc.hidden || over || source && source.readyState !== 2) return;
      source = new EventSource(live.getAttribute("sse-connect"));
      source.onopen = () => {
        late = clearTimeout(late);
        wait = 1000;
        show(down = "");
      };
      source.onerror = () => {
        const at = clock();
        late = late || setTimeout(() => show(down = at), 5000);
        if (source.readyState === 2) setTimeout(connect, wait = Math.min(2 * wait, 60000));
      };
      source.addEventListener("changed", () => paused ? show(missed = true) : refresh());
      source.addEventListener("over", () => show(over = !source.close()));
    };
    connect();
    pause.hidden = false;
    pause.onclick = () => {
      if (over || failed || down) return location.reload();
      paused = !paused && clock();
      if (!paused && missed) missed = refresh();
      show();
    };
    on("htmx:beforeSwap", (e) => {
      if (e.target !== refetch || e.detail.isError) return;
      failed = held = "";
      // Who is signed out is led to another page.
      if (new URL(e.detail.xhr.responseURL).pathname !== location.pathname) fail(e.detail.shouldSwap = false);
      show();
    });
    on("htmx:responseError", fail);
    on("htmx:sendError", fail);
    // Nobody loses what they type, mark or stand on.
    on("htmx:oobBeforeSwap", (e) => {
      if (busy(e.target)) return show(held = !e.preventDefault());
      const open = all("details", e.target);
      all("details", e.detail.fragment).forEach((d, i) => d.open = open[i] ? open[i].open : d.open);
    });
    const release = () => setTimeout(() => {
      if (held && !all(refetch.getAttribute("hx-select-oob")).some(busy)) refresh();
    });
    for (const e of ["focusout", "change", "selectionchange"]) on(e, release);
    on("visibilitychange", () => doc.hidden && source ? source.close() : connect());
  }

  const go = { o: "/", p: "/problems", h: "/hooks", r: "/reviews", e: "/peers", j: "/jobs" };
  const keys = [["g o", "overview"], ["g p", "problems"], ["g h", "hooks"], ["g r", "reviews"], ["g e", "peers"], ["g j", "jobs"], ["/", "filter"], ["n", "next page"], ["p", "pause what is live"], ["?", "this help"]];
  let dialog, asked, off;
  try {
    off = localStorage.hooklineKeys === "off";
  } catch {} // no storage: the keys are on
  function help() {
    if (!dialog) {
      const list = make("dl", "", { className: "terms" }), form = make("form", "", { method: "dialog" }), turn = make("button", "", { type: "button", className: "quiet" });
      const say = () => turn.textContent = off ? "Turn keys on" : "Turn keys off";
      for (const [k, text] of keys) {
        const row = make("div", "");
        row.append(make("dt", k), make("dd", text));
        list.append(row);
      }
      turn.onclick = () => say(localStorage.hooklineKeys = (off = !off) ? "off" : "on");
      say();
      form.append(make("button", "Close"), " ", turn);
      dialog = make("dialog", "");
      dialog.setAttribute("aria-label", "Keys");
      dialog.append(make("h2", "Keys"), list, form);
      doc.body.append(dialog);
    }
    dialog.showModal();
  }
  if ($(".top nav")) $(".top nav").after(make("button", "?", { className: "quiet", ariaLabel: "Keys", onclick: help }));
  on("keydown", (e) => {
    if (off || e.ctrlKey || e.altKey || e.metaKey || e.isComposing || e.target.closest("input, select, textarea, dialog[open]")) return;
    const filter = $(".filters input:not([type=hidden]), .filters select"), to = asked ? go[e.key] && $(`nav a[href="${go[e.key]}"]`) : e.key === "n" && $("a[rel=next]");
    if (to) to.click();
    else if (!asked && e.key === "/" && filter) filter.focus(e.preventDefault());
    else if (!asked && e.key === "p" && live) pause.click();
    else if (!asked && e.key === "?") help();
    asked = !asked && e.key === "g";
    if (asked) setTimeout(() => asked = false, 1500);
  });
})();
