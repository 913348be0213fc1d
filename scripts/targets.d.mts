export interface Target {
  target: string;
  platform: string;
  linker: 'zig' | 'msvc';
  glibc?: string;
  rustflags?: string;
}
export const GLIBC: string;
export const MACOS: string;
export const TARGETS: readonly Target[];
export function addonName(platform: string): string;
