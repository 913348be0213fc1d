/** What the publisher is to do. */
export interface PublisherSetup {
  ring: string;
  /** Ticks a second. */
  rate: number;
  topics: number;
  /** Further topics, which tick once and then never again. */
  idleTopics: number;
}

/** What the publisher has done. */
export interface Published {
  /** `seq` of the last tick. */
  last: number;
  /** Longest time between two ticks: what a client's silence cannot be shorter than. */
  longestPauseMs: number;
}

/** The healthy clients' setup. */
export interface HealthySetup {
  port: number;
  clients: number;
  topics: number;
  key: string | undefined;
}

/** What became of the healthy clients. */
export interface HealthySeen {
  /** Longest time without a tick of any client. */
  longestSilenceMs: number;
  /** Ticks that were published and did not come to a client, all clients together. */
  lost: number;
  received: number;
  /** Clients that the server closed or whose connection broke. */
  disconnected: number;
  /** Longest time that the process of the clients could not look at its sockets. */
  ownDelayMs: number;
}

/** Name of a ticking topic. */
export function symbolOf(topic: number): string {
  return `SYM${topic}`;
}
