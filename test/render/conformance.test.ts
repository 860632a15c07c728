import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '../../src/conformance/suite.js';
import * as render from '../../src/render/conformance.js';
import { JsonPrinter } from '../../src/render/json.js';
import { Output } from '../../src/render/output.js';
import { checkOutput } from '../support/output-schemas.js';

const report: Report = {
  results: [
    { check: { name: 'ring-one', clause: '2.10', rule: 'One.' }, outcome: { kind: 'passed' }, duration: 1.4 },
    {
      check: { name: 'ring-two', clause: '2.9', rule: 'Two & "more".' },
      outcome: { kind: 'failed', finding: { sent: 'a <request>', came: 'b\u0001', expected: 'c' } },
      duration: 1500,
    },
    {
      check: { name: 'ring-three', clause: '2.9', rule: 'Three.' },
      outcome: { kind: 'not applicable', reason: 'MQ is not offered' },
      duration: 0,
    },
  ],
  uncovered: ['ANY_LAYOUT', 55],
};
const text = report.results.map(render.formatResult).join('') + render.formatSummary(report);

test('text: a line a check, what was found, and sections in their order', () => {
  assert.equal(
    text,
    `passed  ring-one (2.10)
FAILED  ring-two (2.9): Two & "more".
  sent      a <request>
  came      b\u0001
  expected  c
n/a     ring-three (2.9): MQ is not offered

section 2.9: 1 failed, 1 not applicable
section 2.10: 1 passed
offered, but covered by no check: ANY_LAYOUT 55
1 passed, 1 failed, 1 not applicable
`,
  );
});

test('JSON has its schema, and the same content', () => {
  let json = '';
  const printer = new JsonPrinter(
    new Output((part) => {
      json += part;
    }),
  );
  render.renderReport(printer, 'foo0', report);
  printer.finish();
  checkOutput('dev-test', json);
  const { test: devices } = JSON.parse(json) as { test: { foo0: { checks: unknown[]; uncovered_features: unknown } } };
  assert.deepEqual(devices.foo0.uncovered_features, ['ANY_LAYOUT', 55]);
  assert.deepEqual(devices.foo0.checks[1], {
    name: 'ring-two',
    clause: '2.9',
    rule: 'Two & "more".',
    result: 'failed',
    milliseconds: 1500,
    sent: 'a <request>',
    came: 'b\u0001',
    expected: 'c',
  });
});

test('TAP: a plan after the results, reasons of skipped checks, findings as YAML', () => {
  const tap = report.results.map((result, index) => render.formatTap(result, index + 1)).join('');
  assert.equal(
    render.tapHeader + tap + render.tapTrailer(report),
    `TAP version 14
ok 1 - ring-one (2.10)
not ok 2 - ring-two (2.9)
  ---
  rule: "Two & \\"more\\"."
  sent: "a <request>"
  came: "b\\u0001"
  expected: "c"
  duration_ms: 1500
  ...
ok 3 - ring-three (2.9) # SKIP MQ is not offered
1..3
# offered, but covered by no check: ANY_LAYOUT 55
# 1 passed, 1 failed, 1 not applicable
`,
  );
});

test('JUnit: escaped text, no control characters', () => {
  const xml = render.formatJunit('a&b', report);
  assert.match(xml, /<testsuite name="a&amp;b" tests="3" failures="1" skipped="1" time="1\.501">/);
  assert.match(
    xml,
    /<failure message="Two &amp; &quot;more&quot;\.">sent: a &lt;request&gt;\ncame: b\?\nexpected: c<\/failure>/,
  );
  assert.match(
    xml,
    /<testcase name="ring-three" classname="virtio 2\.9" time="0\.000"><skipped message="MQ is not offered"\/>/,
  );
  assert.match(xml, /<property name="uncovered features" value="ANY_LAYOUT 55"\/>/);
});
