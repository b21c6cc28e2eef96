"""`flan-jax generate`: one prompt, a file of them, or a session in the terminal."""

import contextlib
import dataclasses
import importlib
import json
import pathlib
import sys
from typing import Any

from flan_jax.data.atomic import atomic_file
from flan_jax.decoding.settings import Decoding
from flan_jax.errors import FlanJaxError
from flan_jax.generate import Answerer, Option

HELP = """\
  text                is continued, as it comes; Ctrl-C cuts it short
                      (a line that ends in \\ goes on in the next)
  /options yes | no   from now on, rank these instead; /options alone goes back
  /temperature 0.7    draw tokens; 0 takes the most probable one
  /top_p 0.9   /beams 4   /max_tokens 64   /seed 1
  /quit               or Ctrl-D"""


class PromptsError(FlanJaxError, ValueError):
    """A file of prompts that cannot be read (names the file and the line), or settings that cannot be followed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """What `flan-jax generate` runs: a checkpoint, what to ask it and how.

    prompt: one; prompts: a file of them, lines or JSON objects; with neither a session.  options: rank these instead.
    output: of a file's answers, JSON lines (None: standard output).  temperature 0 and one beam: greedy.
    """

    model_dir: str
    step: int | None = None
    prompt: str | None = None
    prompts: str | None = None
    output: str | None = None
    options: tuple[str, ...] = ()
    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    beams: int = 1
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises PromptsError for settings that would do nothing."""
        if self.beams != 1 and self.temperature:
            raise PromptsError(
                f"--beams={self.beams} searches and --temperature={self.temperature:g} draws; set beams to 1 or "
                "temperature to 0"
            )
        session = self.prompt is None and self.prompts is None  # there, one is set after the other
        if self.top_p != 1 and not self.temperature and not session:
            raise PromptsError(f"--top_p={self.top_p:g} only bounds what is drawn; set --temperature too, as 1")
        if self.output is not None and self.prompts is None:
            raise PromptsError(f"--output={self.output} takes the answers of a file, --prompts; redirect this one's")

    @property
    def decoding(self) -> Decoding:
        """Raises DecodingError where a number is out of range."""
        common: dict[str, Any] = {"top_p": self.top_p, "stop": self.stop, "seed": self.seed}
        if self.beams != 1:
            return Decoding(method="beam", beams=self.beams, **common)
        if self.temperature:
            return Decoding(method="sample", temperature=self.temperature, **common)
        return Decoding(**common)


def run(config: GenerateConfig) -> None:
    """Raises PromptsError, DecodingError, RequestError, CheckpointError or VocabularyError."""
    decoding = config.decoding
    if config.max_tokens < 1:
        raise PromptsError(f"--max_tokens={config.max_tokens} should be at least 1")
    asked = read_prompts(config.prompts) if config.prompts is not None else []
    answerer = Answerer.load(config.model_dir, config.step)
    if config.prompts is not None:
        answers = answer_all(answerer, asked, config)
        lines = "".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)
        if config.output is None:
            sys.stdout.write(lines)
        else:
            with atomic_file(pathlib.Path(config.output)) as out:
                out.write(lines.encode())
    elif config.prompt is None:
        Session(answerer, config).run()
    elif config.options:
        print_options(answerer.rank(config.prompt, config.options))
    else:
        print(answerer.generate([config.prompt], config.max_tokens, decoding)[0].text)


def read_prompts(file: str) -> list[dict[str, Any]]:
    """Objects with a `prompt` and perhaps `options`, from JSON lines (`*.jsonl`) or plain lines; empty lines are left
    out.  Other members are kept, and come back with the answer.  Raises PromptsError."""
    try:
        lines = pathlib.Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PromptsError(f"--prompts={file}: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        one: Any = {"prompt": line}
        if file.endswith(".jsonl"):
            try:
                one = json.loads(line)
            except ValueError as error:
                raise PromptsError(f"{file}, line {number}: not JSON ({error})") from error
        if not isinstance(one, dict) or not isinstance(one.get("prompt"), str) or not one["prompt"].strip():
            raise PromptsError(f'{file}, line {number}: should be an object with a "prompt", a text that is not empty')
        options = one.get("options", [])
        if not isinstance(options, list) or not all(isinstance(option, str) and option.strip() for option in options):
            raise PromptsError(f'{file}, line {number}: "options" should be a list of texts, none empty')
        found.append(one)
    if not found:
        raise PromptsError(f"{file} holds no prompt")
    return found


def answer_all(answerer: Answerer, asked: list[dict[str, Any]], config: GenerateConfig) -> list[dict[str, Any]]:
    """What was asked with its answer: `text`, `finish` and `tokens` (how many), or `ranked` options."""
    own = [tuple(one.get("options") or config.options) for one in asked]
    open_ended = [place for place, options in enumerate(own) if not options]
    prompts = [asked[place]["prompt"] for place in open_ended]
    texts = dict(zip(open_ended, answerer.generate(prompts, config.max_tokens, config.decoding), strict=True))
    answers: list[dict[str, Any]] = []
    for place, one in enumerate(asked):
        if place in texts:
            said = texts[place]
            answers.append({**one, "text": said.text, "finish": said.finish, "tokens": len(said.tokens)})
        else:
            ranked = [option._asdict() for option in answerer.rank(one["prompt"], own[place])]
            answers.append({**one, "ranked": ranked})
    return answers


def print_options(ranked: list[Option]) -> None:
    for option in ranked:
        print(f"{option.probability:7.1%} {option.score:10.3f}  {option.text}")


class Session:
    """Prompts from the terminal, answers as they come."""

    def __init__(self, answerer: Answerer, config: GenerateConfig):
        self.answerer, self.config, self.asked = answerer, config, 0

    def run(self) -> None:
        with contextlib.suppress(ImportError):  # there is none on some platforms
            importlib.import_module("readline")  # input() then has a history
        print(f"{self.config.model_dir}: text is continued; /help says what else there is")
        while (line := self._read()) is not None:
            try:
                if line.startswith("/"):
                    if line.split()[0] == "/quit":
                        return
                    self._command(line)
                elif line.strip():
                    self._answer(line)
            except FlanJaxError as error:
                print(f"{type(error).__name__}: {error}")

    def _read(self) -> str | None:
        """What is typed, lines that end in a backslash joined; None at the end of it."""
        lines: list[str] = []
        try:
            while True:
                line = input("... " if lines else "> ")
                lines.append(line.removesuffix("\\"))
                if not line.endswith("\\"):
                    return "\n".join(lines)
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:  # what has been typed is given up, as in a shell
            print()
            return ""

    def _answer(self, prompt: str) -> None:
        if self.config.options:
            print_options(self.answerer.rank(prompt, self.config.options))
            return
        self.asked += 1
        try:
            if self.config.beams != 1:
                print(self.answerer.generate([prompt], self.config.max_tokens, self.config.decoding)[0].text)
                return
            place = str(self.asked)  # the same prompt again is another draw
            said = ""
            for part in self.answerer.stream(prompt, self.config.max_tokens, self.config.decoding, place):
                said += part
                print(part, end="", flush=True)
            print("" if said else "(the answer ends at once)")
        except KeyboardInterrupt:
            print(" ...")

    def _command(self, line: str) -> None:
        name, _, value = line[1:].partition(" ")
        kinds = {"max_tokens": int, "temperature": float, "top_p": float, "seed": int, "beams": int}
        if name == "options":
            options = tuple(option.strip() for option in value.split("|") if option.strip())
            self.config = dataclasses.replace(self.config, options=options)
        elif name in kinds:
            try:
                number = kinds[name](value)
            except ValueError:
                raise PromptsError(f"/{name} needs a number, not {value!r}") from None
            changed = dataclasses.replace(self.config, **{name: number})
            if changed.max_tokens < 1:
                raise PromptsError("/max_tokens should be at least 1")
            _ = changed.decoding  # refused here, where the old settings still stand
            self.config = changed
        else:
            print(HELP)
