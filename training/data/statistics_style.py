# Copyright 2026 The lego_ros Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""How the statistics page looks, by day and by night."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff; --line: #d0d7de;
  --kept: #0072b2; --different: #d55e00; --similar: #a15c8f; --tile: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b1; --paper: #0d1117;
  --line: #30363d; --kept: #56b4e9; --different: #e69f00; --similar: #cc79a7; --tile: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, "Liberation Sans", sans-serif; }
h1 { margin: 0; } header p { margin: 0; color: var(--soft); }
h2 { margin: 2.5rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
code { font-size: .85em; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem;
  margin: 0; }
.tiles div { background: var(--tile); border-radius: .5rem; padding: .75rem 1rem; }
.tiles dt { color: var(--soft); font-size: .875rem; }
.tiles dd { margin: 0; font-size: 1.75rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid var(--line); }
th[scope=row], thead th:first-child { text-align: left; }
th { font-weight: 600; } th[scope=row] { font-weight: 500; }
td { overflow-wrap: anywhere; }
.words { width: 100%; } .words td.bar, .words thead td { width: 60%; text-align: left; }
.bar i, .key i { display: inline-block; height: .9rem; vertical-align: middle; }
.key { margin-right: 1rem; white-space: nowrap; color: var(--soft); font-size: .875rem; }
.key i { width: .9rem; }
i.kept { background: var(--kept); } i.dropped, i.too_different { background: var(--different); }
i.too_similar { background: var(--similar); }
.chart { margin: 1rem 0; } .chart svg { width: 100%; max-width: 42rem; height: auto; }
.chart .kept { fill: var(--kept); } .chart .too_different { fill: var(--different); }
.chart .too_similar { fill: var(--similar); }
.chart line { stroke: var(--ink); stroke-dasharray: 4 3; }
.chart text { fill: var(--soft); font-size: 13px; }
figcaption { color: var(--soft); font-size: .875rem; }
figcaption strong { color: var(--ink); }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
.pairs figure { margin: 0; } .pairs img { width: 100%; height: auto; border-radius: .25rem; }
details { margin: .5rem 0; } summary { cursor: pointer; }
"""
