// The one place that names the library of the page.
export {
  html, render, useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState, useReducer, createContext,
  Component,
} from "../vendor/preact.js";
