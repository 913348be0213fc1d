/** The hidden command that plays one part of the benchmark in a process of its own. */
export const ROLE_COMMAND = 'bench-role';
