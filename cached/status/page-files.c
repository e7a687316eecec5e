/*
 * The style and the script of the status page.
 *
 * Colours are those of a system page, light or dark as the reader has it, with a contrast of 4.5 to 1 at least; a state
 * is always a word, too. The script asks again two seconds after the last answer, and not while nobody looks.
 */

#include "status/page.h"

const char page_style[] =
        ":root { color-scheme: light dark; --text: #1b1b1b; --back: #fff; --line: #d0d0d0; --faint: #595959;\n"
        "  --good: #116329; --warn: #7a4d00; --bad: #b3261e; }\n"
        "@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --back: #161616; --line: #3a3a3a;\n"
        "  --faint: #a8a8a8; --good: #6fdd8b; --warn: #f0b429; --bad: #ff8a80; } }\n"
        "body { margin: 0 auto; padding: 1rem; max-width: 70rem; font: 1rem/1.5 system-ui, sans-serif;\n"
        "  color: var(--text); background: var(--back); }\n"
        "h1 { font-size: 1.25rem; margin: 0 0 .5rem; }\n"
        "p { margin: .25rem 0; }\n"
        "a { color: inherit; }\n"
        "table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-variant-numeric: tabular-nums; }\n"
        "caption { text-align: left; font-weight: 600; }\n"
        "th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);\n"
        "  white-space: nowrap; }\n"
        "thead th { color: var(--faint); font-weight: 500; }\n"
        "tbody th { font-weight: 600; white-space: normal; overflow-wrap: anywhere; }\n"
        ".fresh { color: var(--good); }\n"
        ".stale, .pending { color: var(--warn); }\n"
        ".expired { color: var(--bad); }\n"
        ".empty { color: var(--faint); }\n"
        "footer { color: var(--faint); }\n"
        "@media (max-width: 40rem) {\n"
        "  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }\n"
        "  table, tbody, caption { display: block; }\n"
        "  tr { display: grid; grid-template-columns: 1fr 1fr; padding: .5rem 0; border-bottom: 1px solid var(--line); "
        "}\n"
        "  tbody th { grid-column: 1 / -1; }\n"
        "  th, td { border: 0; padding: .1rem 0; }\n"
        "  td::before { content: attr(data-title) \" \"; color: var(--faint); }\n"
        "}\n";

const char page_script[] =
        "'use strict';\n"
        "function say(text) {\n"
        "  const status = document.querySelector('[role=status]');\n"
        "  if (status.textContent !== text)\n"
        "    status.textContent = text;\n"
        "}\n"
        "async function refresh() {\n"
        "  if (!document.hidden) {\n"
        "    try {\n"
        "      const reply = await fetch('.', { cache: 'no-store', signal: AbortSignal.timeout(10000) });\n"
        "      const next = new DOMParser().parseFromString(await reply.text(), 'text/html');\n"
        "      document.querySelector('main').replaceWith(next.querySelector('main'));\n"
        "      document.body.dataset.refreshed = Date.now();\n"
        "    } catch {\n"
        "      say('The daemon does not answer.');\n"
        "    }\n"
        "  }\n"
        "  setTimeout(refresh, 2000);\n"
        "}\n"
        "setTimeout(refresh, 2000);\n";
