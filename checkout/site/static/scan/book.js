/**
 * Book: what a scanner must not forget when its page is closed: the list, the scans that wait to be sent, whom this device
 * has let in, conflicts. IndexedDB, a database for each event; every change is on disk before it is relied upon.
 */

const STORES = ["facts", "queue", "mine", "conflicts"];

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

export async function openBook(event) {
  const opening = indexedDB.open(`waitroom-scan-${event}`, 1);
  opening.onupgradeneeded = () => {
    for (const name of STORES) opening.result.createObjectStore(name);
  };
  const base = await done(opening);

  function write(names, change) {
    return new Promise((resolve, reject) => {
      const going = base.transaction(names, "readwrite", { durability: "strict" });
      going.oncomplete = () => resolve();
      going.onabort = () => reject(going.error);
      change(...names.map((name) => going.objectStore(name)));
    });
  }

  const all = async (name) => {
    const store = base.transaction(name).objectStore(name);
    const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    return keys.map((key, at) => [key, values[at]]);
  };

  return {
    get: (name) => done(base.transaction("facts").objectStore("facts").get(name)),
    put: (name, value) => write(["facts"], (facts) => facts.put(value, name)),
    queue: () => all("queue"),
    mine: () => all("mine"),
    conflicts: () => all("conflicts"),
    /** Keep a scan that is to be sent, with whom it let in: [prefix, at_ms] or null. */
    keep: (scan, entered = null) => write(["queue", "mine"], (queue, mine) => {
      queue.put(scan, scan.id);
      if (entered) mine.put(entered[1], entered[0]);
    }),
    /** Forget a scan that the server has answered; keep whom it let in, and the conflict that it has become. */
    settle: (id, entered = null, conflict = null) => write(["queue", "mine", "conflicts"], (queue, mine, conflicts) => {
      queue.delete(id);
      if (entered) mine.put(entered[1], entered[0]);
      if (conflict) conflicts.put(conflict, id);
    }),
    forget: (id) => write(["queue"], (queue) => queue.delete(id)),
  };
}
