import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';

/** Options of the dashboard's routes. */
export interface DashboardOptions {
  /** What the page's own route has beside its handler: a WebSocket may come at the same path. */
  page: RouteShorthandOptions;
}

/** The same folder from `src` and from `dist`. */
const FILES = fileURLToPath(new URL('../../src/dashboard/', import.meta.url));
const CHART = dirname(createRequire(import.meta.url).resolve('uplot/dist/uPlot.esm.js'));
const CHART_FILES: ReadonlySet<string> = new Set(['uPlot.esm.js', 'uPlot.min.css']);

const HEADERS = {
  // Everything comes from this server, the WebSocket included; nothing is inline.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

/**
 * The dashboard: a page at the root and its files below `/dashboard/`. They hold no figures, and so are there for
 * everybody; what the page shows it asks for with its reader's key.
 */
export const dashboard: FastifyPluginAsync<DashboardOptions> = async (fastify, { page }) => {
  await fastify.register(fastifyStatic, {
    root: [FILES, CHART],
    prefix: '/dashboard/',
    index: false,
    decorateReply: !fastify.hasReplyDecorator('sendFile'),
    schemaHide: true,
    allowedPath: (path) => !path.includes('uPlot') || CHART_FILES.has(path.slice(path.lastIndexOf('/') + 1)),
    setHeaders: (reply) => void reply.headers(HEADERS),
  });
  fastify.get('/', { ...page, schema: { hide: true } as object }, sendPage);
};

function sendPage(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // The page's links are relative to the folder that it is in.
  const [path = '/', query] = request.url.split('?');
  const folder = path.slice(path.lastIndexOf('/') + 1);
  if (folder !== '') return reply.redirect(`${folder}/${query === undefined ? '' : `?${query}`}`);
  return reply.headers(HEADERS).sendFile('index.html', FILES);
}
