'use strict';
// From `index.main` to a function: CommonJS, ES modules, TypeScript where Node strips types.

const fs = require('node:fs');
const { pathToFileURL } = require('node:url');
const { HandlerNotFoundError } = require('./errors.js');

const CODE = '/fn';
const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts'];

function fileOf(module) {
  const path = `${CODE}/${module.replaceAll('.', '/')}`;
  const isFile = (name) => fs.statSync(name, { throwIfNoEntry: false })?.isFile();
  const file = EXTENSIONS.map((extension) => path + extension).find(isFile);
  if (!file) {
    const names = EXTENSIONS.join(', ');
    throw new HandlerNotFoundError(`the package has no module '${module}' (one of ${names})`);
  }
  if (file.endsWith('.ts') && !process.features.typescript) {
    throw new Error(`Node ${process.versions.node} does not run TypeScript: 22.18 and later do`);
  }
  return file;
}

/** Import the handler; whatever the import throws goes through. */
async function find(name) {
  const dot = name.lastIndexOf('.');
  const [module, attribute] = [name.slice(0, Math.max(dot, 0)), name.slice(dot + 1)];
  if (!module || !attribute) {
    throw new HandlerNotFoundError(`'${name}' is not of the form module.function`);
  }
  const exported = await import(pathToFileURL(fileOf(module)).href);
  const handler = exported[attribute] ?? exported.default?.[attribute];
  if (typeof handler !== 'function') {
    throw new HandlerNotFoundError(`module '${module}' exports no function '${attribute}'`);
  }
  return handler;
}

module.exports = { find };
