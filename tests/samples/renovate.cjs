// Runs Renovate's own extraction and replacement with the preset of samples/renovate.
//
//   npm install --prefix FOLDER --ignore-scripts renovate
//   NODE_PATH=FOLDER/node_modules node tests/samples/renovate.cjs
//
// Sends no requests: the new tag and digest are given.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');

const renovate = path.dirname(require.resolve('renovate/package.json'));
const { extractPackageFile } = require(path.join(renovate, 'dist/modules/manager/custom/regex'));
const template = require(path.join(renovate, 'dist/util/template'));

const top = path.join(__dirname, '../..');
const preset = JSON.parse(fs.readFileSync(path.join(top, 'samples/renovate/renovate.json'), 'utf8'));
const content = fs.readFileSync(path.join(__dirname, 'template.yaml'), 'utf8');
const [manager] = preset.customManagers;
const digest = `sha256:${'d'.repeat(64)}`;

const { deps } = extractPackageFile(content, 'template.yaml', manager);
const read = deps.map((dep) => [dep.depName, dep.currentValue, dep.currentDigest?.slice(0, 15), dep.replaceString]);
const pinned = 'ghcr.io/acme/app.web:2.1@sha256:70d23423bdb3e4e63255cf62747b5cbfce53210778ca2fc3a2544595a0fce3c6';
assert.deepStrictEqual(read, [
  ['docker.io/library/python', '3.12', undefined, 'docker.io/library/python:3.12'],
  ['nginx', '1.27-alpine', undefined, 'nginx:1.27-alpine'],
  ['ghcr.io/acme/app.web', '2.1', 'sha256:70d23423', pinned],
  ['registry.acme.example:5000/base/my_app', '1', undefined, 'registry.acme.example:5000/base/my_app:1'],
  ['acme/tool', 'v3', undefined, 'acme/tool:v3'],
]);
for (const dep of deps) {
  assert.strictEqual(dep.datasource, 'docker');
  const compiled = template.compile(manager.autoReplaceStringTemplate, { ...dep, newValue: '9', newDigest: digest }, false);
  assert.strictEqual(compiled, `${dep.depName}:9@${digest}`);
}
const { version } = require(path.join(renovate, 'package.json'));
console.log(`Renovate ${version} reads and replaces the ${deps.length} references of template.yaml`);
