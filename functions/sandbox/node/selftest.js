'use strict';
// The function with which the host tests a node before it runs anybody's JavaScript: every attempt
// must be refused; the names of those that were not are the result (see selftest.py).

const fs = require('node:fs');
const net = require('node:net');
const { execFileSync } = require('node:child_process');

const attempts = {
  read_passwords: () => fs.readFileSync('/etc/shadow'),
  see_processes: () => fs.readdirSync('/proc/1'),
  write_code: () => fs.writeFileSync('/fn/new', 'x'),
  write_root: () => fs.mkdirSync('/new'),
  become_root: () => process.setuid(0),
  signal_everyone: () => process.kill(-1, 0),
  run_from_tmp: () => {
    fs.copyFileSync(process.execPath, '/tmp/copy');
    fs.chmodSync('/tmp/copy', 0o755);
    execFileSync('/tmp/copy', ['--version']);
  },
  reach_loopback: () =>
    new Promise((resolve, reject) => {
      net.connect(80, '127.0.0.1', resolve).on('error', reject);
    }),
};

// Nobody could reach it, but only Landlock refuses it: that is how its absence is noticed.
const listenOnTcp = () =>
  new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject);
    server.listen(8080, '0.0.0.0', () => server.close(resolve));
  });
const LANDLOCK_ABI_WITH_TCP = 4;

exports.main = async ({ landlock_abi: abi }) => {
  if (abi >= LANDLOCK_ABI_WITH_TCP) attempts.listen_on_tcp = listenOnTcp;
  const succeeded = [];
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      await attempt();
      succeeded.push(name);
    } catch {
      continue;
    }
  }
  return { succeeded, pid: process.ppid };
};
