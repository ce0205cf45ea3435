import { Command } from 'commander';
import { info } from '../info.js';

export function infoCommand(): Command {
  return new Command('info')
    .description(
      'show version, where the addon is from, instruction sets, threads and back ends, and why one is not there',
    )
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Environment:
  SET_NATIVE_ISA  force an instruction set: portable, avx2 or avx512

Examples:
  $ set-native info
  $ SET_NATIVE_ISA=avx2 set-native info --json`,
    )
    .action(({ json }: { json?: boolean }) => {
      const all = info();
      process.stdout.write(`${json ? JSON.stringify(all, undefined, 2) : describe(all)}\n`);
    });
}

function describe(all: ReturnType<typeof info>): string {
  const { version, node, platform, cpu, addon, isa, threads, backends } = all;
  const rows = [
    ['set-native', version],
    ['Node', `${node} on ${platform}`],
    ['addon', `${addon.origin}: ${addon.file}`],
    ['CPU', `${cpu}, ${threads} threads`],
    ['ISA', `${isa.used ?? 'none'} used; found: ${isa.available.join(', ')}`],
    ...backends.map(({ name, available, device, reason }) => [name, available ? device : reason]),
  ];
  return rows.map(([name, text]) => `${name!.padEnd(12)}${text}`).join('\n');
}
