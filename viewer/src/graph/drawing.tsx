/**
 * The picture at the reader's moment: what is known is written, what is ready has a dashed ring.
 *
 * A box is drawn again only when something about it has changed: a step of a large picture touches a few of them.
 */

import { Component } from "preact";
import type { Link } from "../layout/layout";
import type { Picture } from "../picture/picture";
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
          drawn={drawn}
          box={box}
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

/** Whether any of the properties is another, but for functions, which are made anew at each drawing. */
function differs<Props extends object>(old: Props, next: Props): boolean {
  return (Object.keys(next) as (keyof Props)[]).some((name) => typeof next[name] !== "function" && old[name] !== next[name]);
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
  drawn: Picture;
  box: number;
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
    const { store, drawn, box } = props;
    const part = drawn.parts[box];
    const at = spot(drawn, box);
    const isStub = part.box.kind === "stub";
    const kinds = [
      ...["part", props.mark, props.isSelected ? "selected" : "", props.isFound ? "found" : ""],
      props.isEditable ? "editable" : "",
    ];
    return (
      <g
        id={`box-${box}`}
        class={kinds.filter(Boolean).join(" ")}
        role={SYMBOL}
        aria-roledescription={store.t(ROLES[part.box.kind])}
        aria-label={isStub ? undefined : sentence(store, box, props)}
        aria-hidden={isStub}
        data-node={part.box.node}
        onPointerDown={(event) => this.props.onPress?.(event, box)}
        onDblClick={() => this.props.onOpen?.(box)}
      >
        {props.isCurrent && <Ring part={part} {...at} kind="current" />}
        {props.isReady && <Ring part={part} {...at} kind="ready" />}
        {props.isSelected && !props.isCurrent && <Ring part={part} {...at} kind="chosen" />}
        <Body part={part} {...at} />
        <Labels {...props} />
      </g>
    );
  }
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
function Labels({ drawn, box, hasValue, hasGradient, hasTerms }: BoxProps) {
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
      {hasValue && <Above figure={part.value} x={x + part.label} y={y} />}
      {hasGradient && <Below figure={part.gradient} x={x + part.label} y={y} />}
      {hasTerms && part.arms.map((arm, place) => <Below figure={arm.term} x={at} y={y + part.ports[place]} />)}
    </>
  );
}
