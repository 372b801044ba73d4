/**
 * The picture at the reader's moment: what is known is written, what is ready has a dashed ring.
 *
 * A box is drawn again only when something about it has changed: a step of a large picture touches a few of them. One
 * that is only elsewhere is moved as it is.
 */

import { Component } from "preact";
import type { Link } from "../layout/layout";
import type { Part, Picture } from "../picture/picture";
import type { Store } from "../store";
import { tokens } from "../tokens";
import { sentence } from "../words";
import { Above, Below, Body, Ring, Wire } from "./shapes";

const { label } = tokens;
const ROLES = { fold: "foldedBox", gate: "kindOp", leaf: "leaf", stub: "leaf" } as const;
const SYMBOL = "graphics-symbol" as "img"; // of ARIA's graphics module, which the types lack

export interface DrawingProps {
  store: Store;
  /** What was pressed. */
  onPress?: (event: PointerEvent, box: number) => void;
  onOpen?: (box: number) => void;
  /** A class for boxes, such as "only-left"; a view may mark what differs. */
  mark?: (box: number) => string;
}

export function Drawing({ store, onPress, onOpen, mark }: DrawingProps) {
  const drawn = store.picture.value;
  const now = store.moment.value;
  const selected = store.node.value < 0 ? -1 : store.owner.value[store.node.value];
  const found = new Set(store.matches.value.map((node) => store.owner.value[node]));
  return (
    <>
      <Wires drawn={drawn} />
      {drawn.parts.map((part, box) => (
        <Box
          key={`${part.box.kind} ${part.box.node}${part.box.kind === "stub" ? ` ${box}` : ""}`}
          store={store}
          part={part}
          box={box}
          {...spot(drawn, box)}
          language={store.language.value}
          mark={mark?.(box) ?? ""}
          hasValue={now.hasValue(box)}
          hasGradient={now.hasGradient(box)}
          hasTerms={now.isOver || now.isDone(box)}
          isReady={now.ready.has(box)}
          isCurrent={now.current === box && (!now.isOver || box === selected)}
          isSelected={box === selected}
          isFound={found.has(box)}
          isEditable={store.isEditable(part.box.node)}
          onPress={onPress}
          onOpen={onOpen}
        />
      ))}
    </>
  );
}

/** Whether any of the properties is another, but for functions, which are made anew at each drawing, and for some. */
function differs<Props extends object>(old: Props, next: Props, but: readonly (keyof Props)[] = []): boolean {
  return (Object.keys(next) as (keyof Props)[]).some(
    (name) => typeof next[name] !== "function" && old[name] !== next[name] && !but.includes(name),
  );
}

class Wires extends Component<{ drawn: Picture }> {
  override shouldComponentUpdate(next: { drawn: Picture }): boolean {
    return differs(this.props, next);
  }

  override render({ drawn }: { drawn: Picture }) {
    const pieces: Link[][] = drawn.parts.map(() => []);
    for (const link of drawn.layout.links) pieces[link.wire].push(link);
    return (
      <g aria-hidden="true">
        {drawn.parts.map((_, index) => (
          <Wire drawn={drawn} index={index} links={pieces[index]} />
        ))}
      </g>
    );
  }
}

interface BoxProps {
  store: Store;
  part: Part;
  /** Its place among the boxes of the picture, and where it stands. */
  box: number;
  x: number;
  y: number;
  language: string;
  mark: string;
  hasValue: boolean;
  hasGradient: boolean;
  /** Whether what it hands back to its inputs is known. */
  hasTerms: boolean;
  isReady: boolean;
  isCurrent: boolean;
  isSelected: boolean;
  isFound: boolean;
  isEditable: boolean;
  onPress: DrawingProps["onPress"] | undefined;
  onOpen: DrawingProps["onOpen"] | undefined;
}

class Box extends Component<BoxProps> {
  override shouldComponentUpdate(next: BoxProps): boolean {
    return differs(this.props, next);
  }

  override render(props: BoxProps) {
    return (
      <g class="place" transform={`translate(${props.x} ${props.y})`}>
        <Content {...props} />
      </g>
    );
  }
}

const HERE: Spot = { x: 0, y: 0 };

/** A box with its labels, around the point in which its wires meet. */
class Content extends Component<BoxProps> {
  override shouldComponentUpdate(next: BoxProps): boolean {
    return differs(this.props, next, ["box", "x", "y"]);
  }

  override render(props: BoxProps) {
    const { store, part, box } = props;
    const isStub = part.box.kind === "stub";
    const kinds = [
      ...["part", props.mark, props.isSelected ? "selected" : "", props.isFound ? "found" : ""],
      props.isEditable ? "editable" : "",
    ];
    return (
      <g
        id={isStub ? undefined : idOf(part)}
        class={kinds.filter(Boolean).join(" ")}
        role={SYMBOL}
        aria-roledescription={store.t(ROLES[part.box.kind])}
        aria-label={isStub ? undefined : sentence(store, box, props)}
        aria-hidden={isStub}
        data-node={part.box.node}
        onPointerDown={(event) => this.props.onPress?.(event, this.props.box)}
        onDblClick={() => this.props.onOpen?.(this.props.box)}
      >
        {props.isCurrent && <Ring part={part} {...HERE} kind="current" />}
        {props.isReady && <Ring part={part} {...HERE} kind="ready" />}
        {props.isSelected && !props.isCurrent && <Ring part={part} {...HERE} kind="chosen" />}
        <Body part={part} {...HERE} />
        <Labels {...props} />
      </g>
    );
  }
}

/** What the element of a box is called; boxes that open and fold elsewhere do not change it. */
export function idOf({ box }: Part): string {
  return `box-${box.kind}-${box.node}`;
}

interface Spot {
  x: number;
  y: number;
}

export function spot(drawn: Picture, box: number): Spot {
  const { columns, rank, y } = drawn.layout;
  return { x: columns[rank[box]].axis, y: y[box] };
}

/** Everything that is written beside a box: its name, value and gradient, and what comes back along its arms. */
function Labels({ part, hasValue, hasGradient, hasTerms }: BoxProps) {
  const { x, y } = HERE;
  const at = x - part.half - part.gather - part.zone + label.clear;
  return (
    <>
      {part.name && (
        <text class="muted middle" x={x} y={y - part.rise - 6}>
          {part.name}
        </text>
      )}
      {hasValue && <Above figure={part.value} x={x + part.label} y={y} />}
      {hasGradient && <Below figure={part.gradient} x={x + part.label} y={y} />}
      {hasTerms && part.arms.map((arm, place) => <Below figure={arm.term} x={at} y={y + part.ports[place]} />)}
    </>
  );
}
