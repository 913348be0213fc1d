import cors, { type FastifyCorsOptions } from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** Time in seconds that a browser may remember what a preflight has told it. */
const PREFLIGHT_MAX_AGE = 600;

/**
 * Lets pages of these origins, and of no others, read what the routes of this context answer. To be called before they
 * are there. Does nothing without a list.
 *
 * The rules are those of each route, so that a hook of @fastify/cors that the application has registered for itself,
 * before or after, answers for these routes by the same rules.
 *
 * @returns a function that has preflights answered, to be called once the routes are there.
 */
export async function answerCrossOrigin(
  context: FastifyInstance,
  origins: readonly string[] | undefined,
): Promise<() => void> {
  if (origins === undefined) return () => undefined;
  const rules = rulesFor(origins);
  const urls = new Set<string>();
  context.addHook('onRoute', (route) => {
    Object.assign(route, { config: { ...route.config, cors: rules } });
    if (route.method === 'GET' && !route.url.includes('*')) urls.add(route.url.slice(context.prefix.length));
  });
  // Not registered, since an application can have it once: it would decorate requests, and take OPTIONS for all paths.
  const hooksOnly = {
    addHook: context.addHook.bind(context),
    decorateRequest: () => undefined,
    options: () => undefined,
  };
  if (!context.hasRequestDecorator('corsPreflightEnabled')) context.decorateRequest('corsPreflightEnabled', false);
  await new Promise<void>((resolve, reject) => {
    cors(hooksOnly as unknown as FastifyInstance, rules, (error) => (error === undefined ? resolve() : reject(error)));
  });
  return () => {
    for (const url of urls) {
      // The hook has answered before, unless it is no preflight.
      context.options(url, { schema: { hide: true } as object }, (_request, reply) => reply.callNotFound());
    }
  };
}

// All of them, so that none of an application's own rules is mixed in.
function rulesFor(origins: readonly string[]): FastifyCorsOptions {
  return {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD'],
    allowedHeaders: ['X-API-Key', 'Authorization'],
    maxAge: PREFLIGHT_MAX_AGE,
    credentials: false,
    preflight: true,
    preflightContinue: false,
    strictPreflight: true,
    optionsSuccessStatus: 204,
    // It takes null for none, which its types do not say.
    ...({ exposedHeaders: null, cacheControl: null } as object),
  };
}
