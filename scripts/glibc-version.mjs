import { readFileSync } from 'node:fs';

const SHT_GNU_VERNEED = 0x6ffffffe;

/** Versions of glibc whose symbols a 64-bit little-endian ELF file asks for, oldest first; none if it asks for no glibc. */
export function glibcVersions(path) {
  const file = readFileSync(path);
  if (file.toString('latin1', 0, 4) !== '\x7fELF' || file[4] !== 2 || file[5] !== 1) {
    throw new Error(`${path} is no 64-bit little-endian ELF file`);
  }
  const sections = Number(file.readBigUInt64LE(0x28));
  const entryBytes = file.readUInt16LE(0x3a);
  const section = (index) => {
    const at = sections + index * entryBytes;
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 0x18)),
      link: file.readUInt32LE(at + 0x28),
      entries: file.readUInt32LE(at + 0x2c),
    };
  };
  const needs = Array.from({ length: file.readUInt16LE(0x3c) }, (_, index) => section(index)).find(
    ({ type }) => type === SHT_GNU_VERNEED,
  );
  if (needs === undefined) return [];

  const strings = section(needs.link).offset;
  const text = (offset) => file.toString('latin1', strings + offset, file.indexOf(0, strings + offset));
  const versions = new Set();
  let library = needs.offset;
  for (let i = 0; i < needs.entries; i++) {
    let version = library + file.readUInt32LE(library + 8);
    for (let j = 0; j < file.readUInt16LE(library + 2); j++) {
      const name = text(file.readUInt32LE(version + 8));
      if (name.startsWith('GLIBC_')) versions.add(name.slice('GLIBC_'.length));
      version += file.readUInt32LE(version + 12);
    }
    library += file.readUInt32LE(library + 12);
  }
  return [...versions].sort(compareVersions);
}

/** Negative if version `a` is older than `b`, 0 if they are the same. */
export function compareVersions(a, b) {
  return a.localeCompare(b, 'en', { numeric: true });
}
