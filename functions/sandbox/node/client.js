'use strict';
// `context.baas`: the platform's API for user code, bound to one project. The same names as the
// Python client's; everything returns a promise. Options that Python takes by name are an object.

const { randomUUID } = require('node:crypto');
const { BaasError } = require('./transport.js');

const { parse, stringify } = JSON;
const segment = encodeURIComponent;

/** Documents of one collection. */
class Collection {
  #transport;
  #path;

  constructor(transport, name) {
    this.#transport = transport;
    this.#path = `/db/${segment(name)}`;
  }

  #document(id) {
    return `${this.#path}/docs/${segment(id)}`;
  }

  /** Create a document; resolves to it as stored. */
  create(document) {
    return this.#transport.json('POST', `${this.#path}/docs`, document);
  }

  /** A document, null when it is missing or not readable. */
  async get(id) {
    try {
      return await this.#transport.json('GET', this.#document(id));
    } catch (error) {
      if (error instanceof BaasError && error.code === 'document_not_found') return null;
      throw error;
    }
  }

  /** `{items, next_cursor}`. */
  query(filter = {}, { sort, limit, cursor } = {}) {
    return this.#transport.json('POST', `${this.#path}/query`, { filter, sort, limit, cursor });
  }

  /** Apply update operators or a merge patch; resolves to the document. */
  update(id, update) {
    return this.#transport.json('PATCH', this.#document(id), update);
  }

  /** Replace or create a document; resolves to it. */
  set(id, document) {
    return this.#transport.json('PUT', this.#document(id), document);
  }

  /** Delete a document. */
  async delete(id) {
    await this.#transport.request('DELETE', this.#document(id));
  }

  /** Run an aggregation; resolves to its items. */
  async aggregate(pipeline) {
    return (await this.#transport.json('POST', `${this.#path}/aggregate`, { pipeline })).items;
  }
}

function database(transport) {
  return {
    /** A collection; nothing is sent yet. */
    collection: (name) => new Collection(transport, name),
    /** Apply up to 500 writes, all or none; resolves to their results. */
    commit: async (writes) => (await transport.json('POST', '/db/commit', { writes })).results,
  };
}

function storage(transport) {
  const bucketPath = (bucket) => `/storage/${segment(bucket)}`;
  const objectPath = (bucket, path) =>
    `${bucketPath(bucket)}/objects/${path.split('/').map(segment).join('/')}`;
  return {
    /** An object's bytes as a Buffer (at most 64 MiB). */
    download: (bucket, path) => transport.request('GET', objectPath(bucket, path)),
    /** Store an object (at most 64 MiB); resolves to its description. */
    upload: async (bucket, path, data, { content_type: contentType } = {}) => {
      const type = contentType ?? 'application/octet-stream';
      const options = { body: data, contentType: type };
      return parse((await transport.request('PUT', objectPath(bucket, path), options)).toString());
    },
    /** Delete an object. */
    delete: async (bucket, path) => {
      await transport.request('DELETE', objectPath(bucket, path));
    },
    /** `{items, prefixes, next_cursor}`. */
    list: (bucket, { prefix, delimiter, limit, cursor } = {}) =>
      transport.json('GET', `${bucketPath(bucket)}/objects`, undefined, {
        prefix,
        delimiter,
        limit,
        cursor,
      }),
    /** `{url, expires_at}`, usable without a token. */
    sign: (bucket, path, { expires_in = 3600, method = 'GET' } = {}) =>
      transport.json('POST', `${bucketPath(bucket)}/sign`, { path, expires_in, method }),
  };
}

/** The platform's API, acting for the caller or, with `"as": "service"`, for the project. */
function baas(transport, functionName) {
  const publish = (type, data, { subject } = {}) => {
    const event = {
      specversion: '1.0',
      id: randomUUID(),
      source: `/functions/${functionName}`,
      type,
      data,
      subject,
    };
    const options = { body: stringify(event), contentType: 'application/cloudevents+json' };
    return transport
      .request('POST', '/events', options)
      .then((answer) => (answer.length ? parse(answer.toString()) : null));
  };
  return Object.freeze({
    BaasError,
    db: Object.freeze(database(transport)),
    storage: Object.freeze(storage(transport)),
    functions: Object.freeze({
      /** Call another function of this project; resolves to its result. */
      invoke: (name, data = null) =>
        transport.json('POST', `/functions/${segment(name)}:invoke`, data),
    }),
    events: Object.freeze({
      /** Publish a custom event; it is durable when this resolves. */
      publish,
    }),
    queues: Object.freeze({
      /** Append one message. */
      send: (queue, body) =>
        transport.json('POST', `/queues/${segment(queue)}/messages`, { messages: [{ body }] }),
    }),
  });
}

module.exports = { baas };
