// npm run tour: draws docs/tour.svg, the picture in README.md: commands on a simulated machine and their output.
// With the argument `-` it prints the picture instead.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './project.mjs';

const commands = [
  'vdpa --sim dev add mgmtdev vdpasim_net name net0 mac 00:11:22:33:44:55 mtu 9000',
  'vdpa --sim dev add mgmtdev vduse name disk0 size 1G queues 2',
  'vdpa --sim dev show',
  'vdpa --sim dev config show net0',
  'vdpa --sim dev show disk0 -jp',
  'vdpa --sim dev bind net0 driver vhost',
  'vdpa --sim -d dev show net0',
  'vdpa --sim tree',
];

const FONT_SIZE = 14;
const LINE_HEIGHT = 20;
/** The width of a character in a monospace font. */
const CHARACTER_WIDTH = FONT_SIZE * 0.6;
const MARGIN = 20;

const picture = draw(runCommands());
if (process.argv[2] === '-') process.stdout.write(picture);
else writeFileSync(join(root, 'docs/tour.svg'), picture);

/** Runs the commands, one after another, on a separate machine; returns them and their output, line by line. */
function runCommands() {
  const folder = mkdtempSync(join(tmpdir(), 'vdpa-tour-'));
  try {
    const env = { VDPA_SIM_STATE: join(folder, 'sim.json') };
    return commands.flatMap((command) => [
      { text: `$ ${command}`, isCommand: true },
      ...run(command, env).map((text) => ({ text, isCommand: false })),
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns the lines that a command prints. It must succeed, and print nothing on standard error. */
function run(command, env) {
  const [, ...args] = command.split(' ');
  const { status, error, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/vdpa.js'), ...args], {
    env,
    encoding: 'utf8',
  });
  if (status !== 0 || stderr !== '') throw new Error(`${command}: ${error?.message ?? `status ${status}\n${stderr}`}`);
  return stdout.split('\n').slice(0, -1);
}

/** Draws lines of text in a frame, light or dark like the reader's page. */
function draw(lines) {
  const columns = Math.max(...lines.map(({ text }) => text.length));
  const width = Math.ceil(columns * CHARACTER_WIDTH) + 2 * MARGIN;
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" xml:space="preserve">
<title>vdpa on a simulated machine: commands and their output</title>
<style>
  text { font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328; }
  .command { font-weight: bold; fill: #0550ae; }
  rect { fill: #f6f8fa; stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .command { fill: #79c0ff; }
    rect { fill: #151b23; stroke: #3d444d; }
  }
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${lines.map(drawLine).join('')}</svg>
`;
}

function drawLine({ text, isCommand }, index) {
  const shown = text.trimEnd();
  if (shown === '') return '';
  const y = MARGIN + (index + 0.75) * LINE_HEIGHT;
  // Fonts differ in width; this keeps columns aligned, and the text inside the frame.
  const length = (shown.length * CHARACTER_WIDTH).toFixed(1);
  const style = isCommand ? ' class="command"' : '';
  return `<text x="${MARGIN}" y="${y}" textLength="${length}"${style}>${escapeXml(shown)}</text>\n`;
}

function escapeXml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
