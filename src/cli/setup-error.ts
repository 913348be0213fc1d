import { OpenAlgoShmError } from '../errors.ts';

/** What a command has found wrong around it before it started anything: the user has to change it. Exit code 2. */
export class SetupError extends OpenAlgoShmError {}
