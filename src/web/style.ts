/** The looks of the page, light and dark. Constructed style sheets need no exception from the page's policy. */
const STYLE = `
:root { --ground: #f6f5f2; --paper: #fff; --ink: #1c2127; --faint: #5d6672; --line: #dcdee2; --accent: #0b5c8f; --accent-ink: #fff;
  --good: #11693a; --good-ground: #e0f3e7; --bad: #9c1c24; --bad-ground: #fbe5e5;
  --warn: #7a4d00; --warn-ground: #fbefd5; --plain: #3d4652; --plain-ground: #eceef1; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --paper: #1c2025; --ink: #e6e8eb; --faint: #9aa4b0; --line: #333a43; --accent: #6cb9ea; --accent-ink: #0a1a25;
    --good: #7fd8a2; --good-ground: #16321f; --bad: #ff9a9f; --bad-ground: #3d1a1d;
    --warn: #f0c674; --warn-ground: #37290d; --plain: #c3cad3; --plain-ground: #2a3037; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
.top { display: flex; align-items: center; gap: 1rem; padding: .65rem 1.25rem; background: var(--paper); border-bottom: 1px solid var(--line); }
.top .name { font-weight: 650; text-decoration: none; color: inherit; }
.top .who { margin-left: auto; color: var(--faint); font-size: .9rem; }
.top nav { display: flex; gap: 1rem; }
.live { display: inline-flex; align-items: center; gap: .4rem; font-size: .85rem; color: var(--faint); }
.live::before { content: ""; width: .55rem; height: .55rem; border-radius: 50%; background: var(--good); }
.live.away::before { background: var(--bad); }
main { margin: 0 auto; padding: 1.75rem 1.25rem 4rem; max-width: 64rem; }
h1 { margin: 0 0 1rem; font-size: 1.55rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0 0 .6rem; font-size: 1.1rem; }
h3 { margin: 1.1rem 0 .3rem; font-size: .95rem; }
p { margin: .4rem 0 .8rem; max-width: 68ch; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
code, pre, textarea { font: .86em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .7rem .9rem; background: var(--plain-ground); border-radius: .4rem; white-space: pre-wrap; }
.faint { color: var(--faint); }
.card { margin: 1rem 0; padding: 1.1rem 1.25rem; background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; }
.narrow { max-width: 30rem; margin: 3rem auto; }
.empty { text-align: center; padding: 2.5rem 1rem; }
.empty p { margin-inline: auto; }
.badge { display: inline-block; padding: .05rem .6em; border-radius: 1em; font-size: .8rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); background: var(--good-ground); }
.bad { color: var(--bad); background: var(--bad-ground); }
.warn { color: var(--warn); background: var(--warn-ground); }
.plain { color: var(--plain); background: var(--plain-ground); }
.count { color: var(--faint); font-weight: 500; }
ul.requests { list-style: none; margin: 0 0 2rem; padding: 0; background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
ul.requests li + li { border-top: 1px solid var(--line); }
a.request { display: grid; grid-template-columns: minmax(0, 1fr) max-content; gap: .15rem 1rem; padding: .75rem 1.1rem; color: inherit; text-decoration: none; }
a.request:hover { background: var(--plain-ground); }
a.request:focus-visible { outline-offset: -2px; }
a.request .image { font-weight: 600; overflow-wrap: anywhere; }
a.request .badge { justify-self: end; align-self: start; }
a.request .about, a.request .progress { font-size: .88rem; color: var(--faint); }
a.request .progress { text-align: right; }
.back { display: inline-block; margin-bottom: .6rem; font-size: .9rem; }
.headline { display: flex; flex-wrap: wrap; align-items: baseline; gap: .4rem 1rem; margin-bottom: .25rem; }
.headline h1 { margin: 0; }
.notice { margin: 1rem 0; padding: .7rem 1rem; border-left: .3rem solid; border-radius: .4rem; overflow-wrap: anywhere; }
.notice p { margin: 0; max-width: none; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1.25rem; margin: .5rem 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.quorum { display: flex; flex-wrap: wrap; gap: .5rem; margin: .3rem 0 .9rem; padding: 0; list-style: none; }
.quorum li { padding: .25rem .75rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .9rem; }
.quorum li.approved { color: var(--good); background: var(--good-ground); border-color: transparent; }
.quorum li.rejected { color: var(--bad); background: var(--bad-ground); border-color: transparent; }
.quorum li.open { color: var(--faint); border-style: dashed; }
.decide { border-color: var(--accent); }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: .8rem; }
button { padding: .45rem 1.1rem; border: 1px solid var(--line); border-radius: .4rem; background: var(--paper); color: var(--ink); font: inherit; font-weight: 550; cursor: pointer; }
button:hover:not(:disabled) { border-color: var(--faint); }
button:disabled { opacity: .55; cursor: default; }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
button.danger { color: var(--bad); border-color: var(--bad); background: none; }
button.link { padding: 0; border: 0; background: none; color: var(--accent); text-decoration: underline; font-weight: inherit; }
label { display: block; font-weight: 550; margin-bottom: .25rem; }
input, textarea, select { width: 100%; padding: .45rem .6rem; border: 1px solid var(--line); border-radius: .4rem; background: var(--ground); color: inherit; font: inherit; }
textarea { font: .86em/1.5 ui-monospace, monospace; min-height: 7rem; resize: vertical; }
.problem:not(:empty) { padding: .5rem .8rem; border-radius: .4rem; color: var(--bad); background: var(--bad-ground); }
.checks { list-style: none; margin: 0; padding: 0; }
.checks > li { display: grid; grid-template-columns: 5.5rem minmax(0, 1fr); gap: .1rem .8rem; padding: .4rem 0; border-top: 1px solid var(--line); align-items: baseline; }
.checks > li:first-child { border-top: 0; }
.checks .badge { justify-self: start; }
.checks code { color: var(--faint); }
.checks ul { margin: .2rem 0; padding-left: 1.1rem; color: var(--faint); }
.line { display: flex; flex-wrap: wrap; gap: .35rem; padding: 0; margin: .4rem 0; list-style: none; }
.line li { padding: .1rem .5rem; background: var(--plain-ground); border-radius: .3rem; font: .86em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
.line li.seal { color: var(--good); background: var(--good-ground); }
.line li.risky { color: var(--bad); background: var(--bad-ground); }
details { margin: .35rem 0; border-top: 1px solid var(--line); padding-top: .35rem; }
details > summary { cursor: pointer; padding: .15rem 0; }
summary .summary { color: var(--faint); }
.diff { width: 100%; border-collapse: collapse; font-size: .92rem; }
.diff td { padding: .2rem .8rem .2rem 0; vertical-align: top; overflow-wrap: anywhere; border-top: 1px solid var(--line); }
.diff td.mark { width: 1.6rem; padding: .2rem 0; text-align: center; font: 600 .9em/1.6 ui-monospace, monospace; }
.diff .added { color: var(--good); } .diff .removed { color: var(--bad); } .diff .changed { color: var(--warn); }
.wide { overflow-x: auto; }
.items { width: 100%; border-collapse: collapse; font-size: .92rem; }
.items th { text-align: left; font-weight: 500; color: var(--faint); }
.items th, .items td { padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.items th, .items td:first-child { white-space: nowrap; }
.items tr:last-child td { border-bottom: 0; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  .top { flex-wrap: wrap; } a.request { grid-template-columns: 1fr; } a.request .badge { justify-self: start; } a.request .progress { text-align: left; }
  .checks > li { grid-template-columns: 1fr; }
}
@media (prefers-reduced-motion: no-preference) { button, a.request { transition: background-color .12s, border-color .12s; } }
`;

export function applyStyle(): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  document.adoptedStyleSheets = [sheet];
}
