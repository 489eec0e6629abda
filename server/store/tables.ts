/**
 * The tables that have more than records: containers with their names, images with their references,
 * layers with their serials.
 */
import type { ContainerRecord } from '../model/container.ts';
import { alreadyExists, cannot, notFound } from '../model/error.ts';
import { shortId } from '../model/ids.ts';
import type { ImageRecord, LayerRecord } from '../model/image.ts';
import type { ContainerTable, ImageTable, LayerTable, NameReservation, WriteOptions } from './store.ts';
import { type Change, RecordTable } from './table.ts';
import { UniqueIndex } from './unique-index.ts';
import type { Writer } from './writer.ts';

export class Containers extends RecordTable<ContainerRecord> implements ContainerTable {
  readonly #names: UniqueIndex;

  constructor(writer: Writer) {
    const index = new UniqueIndex('container-name', (name, holder) =>
      alreadyExists('container', name, `the name is in use by container ${shortId(holder)}`, {
        reason: 'CONTAINER_NAME_IN_USE',
        hint: 'remove that container, or choose another name',
        metadata: { name, holder },
      }),
    );
    super({
      name: 'container',
      writer,
      idOf: (record) => record.id,
      unique: { index, keysOf: (record) => [record.name] },
    });
    this.#names = index;
  }

  idByName(name: string): string | undefined {
    return this.#names.get(name);
  }

  isNameTaken(name: string): boolean {
    return this.#names.holder(name) !== undefined;
  }

  reserveName(name: string, id: string): NameReservation {
    const held = this.#names.reserve(name, id);
    return { name, [Symbol.dispose]: () => held[Symbol.dispose]() };
  }
}

export class Images extends RecordTable<ImageRecord> implements ImageTable {
  readonly #references: UniqueIndex;

  constructor(writer: Writer) {
    const index = new UniqueIndex('image-reference', (reference, holder) =>
      cannot(
        'already-exists',
        'tag',
        'image',
        reference,
        `the reference is in use by image ${shortId(holder)}`,
        {
          reason: 'REFERENCE_IN_USE',
          metadata: { reference, holder },
        },
      ),
    );
    super({
      name: 'image',
      writer,
      idOf: (record) => record.id,
      unique: { index, keysOf: (record) => record.references },
    });
    this.#references = index;
  }

  idByReference(reference: string): string | undefined {
    return this.#references.get(reference);
  }

  async setReference(reference: string, id: string, options: WriteOptions = {}): Promise<ImageRecord> {
    const busy = (): Promise<unknown> | undefined => this.#busyWith(id, [reference]);
    for (let writes = busy(); writes !== undefined; writes = busy()) await writes;
    const image = this.get(id);
    if (image === undefined) throw notFound('image', id);
    if (this.#references.get(reference) === id) return image;
    const after = this.next({ ...image, references: [...image.references, reference] });
    await this.commit([{ before: image, after }, ...this.#losers([reference])], options);
    return after;
  }

  async addNamed(record: ImageRecord, options: WriteOptions = {}): Promise<ImageRecord> {
    const { id, references } = record;
    const busy = (): Promise<unknown> | undefined => this.#busyWith(id, references);
    for (let writes = busy(); writes !== undefined; writes = busy()) await writes;
    if (this.get(id) !== undefined) throw alreadyExists('image', id);
    const after = this.next(record);
    await this.commit([{ after }, ...this.#losers(references)], options);
    return after;
  }

  /** As busy, of an image and of those that have any of these references. */
  #busyWith(id: string, references: readonly string[]): Promise<unknown> | undefined {
    return this.busy(id, ...references.flatMap((reference) => this.#references.holder(reference) ?? []));
  }

  /** What becomes of the images that have these references now. */
  #losers(references: readonly string[]): Change<ImageRecord>[] {
    const holders = new Set(references.flatMap((reference) => this.#references.get(reference) ?? []));
    return [...holders].flatMap((holder) => {
      const before = this.get(holder);
      if (before === undefined) return [];
      const kept = before.references.filter((reference) => !references.includes(reference));
      return [{ before, after: this.next({ ...before, references: kept }) }];
    });
  }
}

export class Layers extends RecordTable<LayerRecord> implements LayerTable {
  readonly #writer: Writer;

  constructor(writer: Writer) {
    super({ name: 'layer', writer, idOf: (record) => record.chainId });
    this.#writer = writer;
  }

  allocateSerial(): Promise<bigint> {
    return this.#writer.allocateSerial();
  }
}
