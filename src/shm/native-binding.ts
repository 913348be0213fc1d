import { createRequire } from 'node:module';
import type * as Binding from '#native';
import { OpenAlgoShmError } from '../errors.ts';

export type { NativeRingOptions, NativeRingStats } from '#native';
export type NativeDelivery = Binding.NativeDelivery;
export type NativePublisher = Binding.NativePublisher;
export type NativeRing = Binding.NativeRing;
export type NativeSubscriber = Binding.NativeSubscriber;

/** Systems with a package of their own; Linux has one for glibc and one for musl. */
const PREBUILT = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'darwin-x64', 'win32-x64'];

const FROM_SOURCE =
  'to build it from source, install Rust (https://rustup.rs), clone the repository, run `npm ci && npm run build` in it, and `npm install` that folder here';

export const {
  NativeDelivery,
  NativePublisher,
  NativeRing,
  NativeSubscriber,
  fieldNames,
  findSegments,
  formatVersion,
  removeIfUnused,
  trimMemory,
  tryLockFile,
  unlinkRing,
} = load();

function load(): typeof Binding {
  try {
    return createRequire(import.meta.url)('#native') as typeof Binding;
  } catch (error) {
    throw new OpenAlgoShmError('ERR_NATIVE', explain(error), { cause: error });
  }
}

function explain(error: unknown): string {
  const platform = `${process.platform}-${process.arch}`;
  if (!PREBUILT.includes(platform)) {
    return `there is no native addon for ${platform}, only for ${PREBUILT.join(', ')}: ${FROM_SOURCE}`;
  }
  const reasons = messages(error).filter((message) => !message.startsWith('Cannot find'));
  if (reasons.length > 0) {
    return `the native addon for ${platform} cannot be loaded (${reasons.join('; ')}): ${FROM_SOURCE}`;
  }
  return `the native addon for ${platform} is not installed: npm leaves out @openalgo-shm/binding-${platform} when told to omit optional dependencies, or when the lock file or node_modules came from another system. Remove both and run \`npm install\` again; ${FROM_SOURCE}`;
}

/** What was tried, from the last attempt to the first. */
function messages(error: unknown): string[] {
  return error instanceof Error ? [error.message, ...messages(error.cause)] : [];
}
