export function glibcVersions(path: string): string[];
export function compareVersions(a: string, b: string): number;
