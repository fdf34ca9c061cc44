import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** What `/metrics` prints: the process, the sockets and the work in flight, read at the moment of the question. */
export function metricsOf(sources: {
  readonly hub: { readonly stats: object };
  readonly inFlight: () => number;
}): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of Object.keys(sources.hub.stats)) {
    new Gauge({
      name: `carillon_sockets_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
      help: `Sockets: ${name}, since the start or at present.`,
      registers: [registry],
      collect() {
        this.set((sources.hub.stats as { readonly [name: string]: number })[name] ?? 0);
      },
    });
  }
  new Gauge({
    name: "carillon_deliveries_in_flight",
    help: "Deliveries being tried at present.",
    registers: [registry],
    collect() {
      this.set(sources.inFlight());
    },
  });
  return registry;
}
