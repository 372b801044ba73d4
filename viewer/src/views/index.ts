/** The registry of views: name, component, and when there is something to see. All get the same store. */

import type { ComponentType } from "preact";
import type { Key } from "../strings";
import { layersOf } from "../network";
import type { Store } from "../store";
import { CompareView } from "./compare";
import { GraphView } from "./graph";
import { JacobianView } from "./jacobian";
import { NetworkView } from "./network";
import { PlaygroundView } from "./playground";
import { TableView } from "./table";
import { TrainingView } from "./training";

export interface ViewProps {
  store: Store;
}

export interface View {
  /** Its name in the URL and, in the table of strings, its title. */
  name: Key;
  component: ComponentType<ViewProps>;
  /** Whether the tab is offered now; always, unless told. Signals that it reads are followed. */
  offered?: (store: Store) => boolean;
}

const hasGraph = (store: Store): boolean => store.document.value.graph.count > 0;

export const VIEWS: readonly View[] = [
  { name: "graph", component: GraphView },
  { name: "network", component: NetworkView, offered: (store) => layersOf(store.document.value.graph).length > 0 },
  { name: "jacobian", component: JacobianView, offered: hasGraph },
  { name: "compare", component: CompareView, offered: hasGraph },
  { name: "table", component: TableView, offered: hasGraph },
  {
    name: "training",
    component: TrainingView,
    offered: (store) => store.options.server !== undefined || store.document.value.runs.length > 0,
  },
  { name: "playground", component: PlaygroundView, offered: (store) => store.options.server !== undefined },
];
