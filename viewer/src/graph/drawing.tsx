/** The picture at the reader's moment: what is known is written, what is ready has a dashed ring. */

import type { Link } from "../layout/layout";
import type { Part, Picture } from "../picture/picture";
import type { Moment } from "../steps";
import type { Store } from "../store";
import { tokens } from "../tokens";
import { sentence } from "../words";
import { Above, Below, Body, Ring, Wire } from "./shapes";

const { label } = tokens;
const SYMBOL = "graphics-symbol" as "img"; // of ARIA's graphics module, which the types lack

export interface DrawingProps {
  store: Store;
  /** What was pressed: a box, to select it, and whether its labels may be dragged. */
  onPress?: (event: PointerEvent, box: number) => void;
  onOpen?: (box: number) => void;
  /** A class for boxes, such as "only-left"; a view may mark what differs. */
  mark?: (box: number) => string;
  drawn?: Picture;
}

export function Drawing({ store, onPress, onOpen, mark, drawn = store.picture.value }: DrawingProps) {
  const now = store.moment.value;
  const pieces: Link[][] = drawn.parts.map(() => []);
  for (const link of drawn.layout.links) pieces[link.wire].push(link);
  const selected = store.node.value < 0 ? -1 : store.owner.value[store.node.value];
  const found = new Set(store.matches.value.map((node) => store.owner.value[node]));
  const kinds = (box: number) =>
    [
      "part",
      mark?.(box) ?? "",
      box === selected ? "selected" : "",
      found.has(box) ? "found" : "",
      store.isEditable(drawn.parts[box].box.node) ? "editable" : "",
    ].join(" ");
  return (
    <>
      <g aria-hidden="true">
        {drawn.parts.map((_, index) => (
          <Wire drawn={drawn} index={index} links={pieces[index]} />
        ))}
      </g>
      {drawn.parts.map((part, box) => (
        <g
          id={`box-${box}`}
          class={kinds(box)}
          role={SYMBOL}
          aria-roledescription={store.t(part.box.kind === "fold" ? "unfold" : part.box.kind === "gate" ? "kindOp" : "name")}
          aria-label={part.box.kind === "stub" ? undefined : sentence(store, box, now)}
          aria-hidden={part.box.kind === "stub"}
          data-node={part.box.node}
          onPointerDown={(event) => onPress?.(event, box)}
          onDblClick={() => onOpen?.(box)}
        >
          <Marks part={part} box={box} now={now} at={spot(drawn, box)} isSelected={box === selected} />
          <Body part={part} {...spot(drawn, box)} />
          <Labels drawn={drawn} box={box} now={now} />
        </g>
      ))}
    </>
  );
}

interface Spot {
  x: number;
  y: number;
}

export function spot(drawn: Picture, box: number): Spot {
  const { columns, rank, y } = drawn.layout;
  return { x: columns[rank[box]].axis, y: y[box] };
}

interface MarksProps {
  part: Part;
  box: number;
  now: Moment;
  at: Spot;
  isSelected: boolean;
}

function Marks({ part, box, now, at, isSelected }: MarksProps) {
  return (
    <>
      {now.current === box && (!now.isOver || isSelected) && <Ring part={part} {...at} kind="current" />}
      {now.ready.has(box) && <Ring part={part} {...at} kind="ready" />}
      {isSelected && now.current !== box && <Ring part={part} {...at} kind="chosen" />}
    </>
  );
}

interface LabelsProps {
  drawn: Picture;
  box: number;
  now: Moment;
}

/** Everything that is written beside a box: its name, value and gradient, and what comes back along its arms. */
function Labels({ drawn, box, now }: LabelsProps) {
  const part = drawn.parts[box];
  const { x, y } = spot(drawn, box);
  const at = x - part.half - part.gather - part.zone + label.clear;
  return (
    <>
      {part.name && (
        <text class="muted middle" x={x} y={y - part.rise - 6}>
          {part.name}
        </text>
      )}
      {now.hasValue(box) && <Above figure={part.value} x={x + part.label} y={y} />}
      {now.hasGradient(box) && <Below figure={part.gradient} x={x + part.label} y={y} />}
      {(now.isDone(box) || now.isOver) &&
        part.arms.map((arm, place) => <Below figure={arm.term} x={at} y={y + part.ports[place]} />)}
    </>
  );
}
