// Makes a component of a module. Arguments: the folder of componentize-js, the module, the contract's folder, its world, the output.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [library, sourcePath, witPath, worldName, out] = process.argv.slice(2);
const { exports } = JSON.parse(await readFile(join(library, 'package.json'), 'utf8'));
const entry = exports?.import ?? exports?.['.']?.import ?? 'src/componentize.js';
const { componentize } = await import(pathToFileURL(join(library, entry)));
try {
  // Without all of these the component would ask for clocks, randomness and more, which no daemon gives.
  const disableFeatures = ['stdio', 'random', 'clocks', 'http', 'fetch-event'];
  const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
  await writeFile(out, component);
} catch (error) {
  console.error(error?.message ?? error);
  process.exitCode = 1;
}
