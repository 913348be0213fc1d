// Every platform that has a package, and how its addon is linked.

/** The oldest glibc that an addon may ask for: Debian 11 and Ubuntu 20.04 have 2.31, RHEL 8 has 2.28. */
export const GLIBC = '2.28';

/** The oldest macOS that an addon may ask for: the first on arm64. */
export const MACOS = '11.0';

/** Where a library was linked is its name on macOS, unless it is told. */
const INSTALL_NAME = '-Clink-arg=-Wl,-install_name,@rpath/openalgo-shm.node';

export const TARGETS = [
  { target: 'x86_64-unknown-linux-gnu', platform: 'linux-x64-gnu', linker: 'zig', glibc: GLIBC },
  { target: 'aarch64-unknown-linux-gnu', platform: 'linux-arm64-gnu', linker: 'zig', glibc: GLIBC },
  // Without this an addon for musl would be a static archive that no Node can load.
  {
    target: 'x86_64-unknown-linux-musl',
    platform: 'linux-x64-musl',
    linker: 'zig',
    rustflags: '-Ctarget-feature=-crt-static',
  },
  {
    target: 'aarch64-unknown-linux-musl',
    platform: 'linux-arm64-musl',
    linker: 'zig',
    rustflags: '-Ctarget-feature=-crt-static',
  },
  { target: 'aarch64-apple-darwin', platform: 'darwin-arm64', linker: 'zig', rustflags: INSTALL_NAME },
  { target: 'x86_64-apple-darwin', platform: 'darwin-x64', linker: 'zig', rustflags: INSTALL_NAME },
  // Microsoft's linker and libraries exist on Windows alone: elsewhere this target is only checked.
  { target: 'x86_64-pc-windows-msvc', platform: 'win32-x64-msvc', linker: 'msvc' },
];

/** File name of a platform's addon, as the generated loader asks for it. */
export const addonName = (platform) => `openalgo-shm.${platform}.node`;
