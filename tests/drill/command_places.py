"""Command lines with a mistake, second part: paths, flags, Hydra's grammar, settings that do not go together."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from deepcrl.cli.hydra.overrides import FLAGS
from tests.drill.command_mistakes import QUICK, hint, kind, q, scored, train
from tests.drill.slips import slip

NOWHERE = ["nowhere", "no/where", "~/nowhere", "nöwhere", "no where", "nowhere=1", "no[where]", "no'where", "run/nope"]
EMPTY = ["", "''", '""', " "]


@kind(3)
def nothing_there(rng: Random) -> tuple[Iterable[str], str]:
    path = rng.choice(NOWHERE)
    seen = q(path).replace(q("~"), ".*")
    missing = rf"There is no checkpoint to read: {seen} does not exist"
    return rng.choice(
        [
            (["train", f"resume={path}", *rng.choice([(), ("total_env_steps=200",)])], missing),
            (["eval", path, *rng.choice([(), ("seed=3",)])], missing),
            (["play", path, *rng.choice([(), ("out=a.png",)])], missing),
            (["export", path, "new.npz"], missing),
            (["report", *rng.choice([(), ("run",)]), path], f"{seen} does not exist"),
            (offline(f"buffer.path={path}.npz"), rf"buffer\.path: there is no file {seen}\.npz"),
        ]
    )


def offline(*words: str) -> list[str]:
    plain = [word for word in QUICK if not word.startswith(("buffer.", "total_env_steps"))]
    return ["train", *plain, "buffer=dataset", "total_grad_steps=4", "run_dir=new", *words]


@kind(4)
def wrong_kind_of_file(rng: Random) -> tuple[Iterable[str], str]:
    deep = rng.choice(["file", "file/run", "file/a/b"])
    return rng.choice(
        [
            (
                ["train", f"resume={rng.choice(['file', 'folder', 'run/checkpoints', 'run/config.yaml'])}"],
                "There is no ",
            ),
            (["eval", rng.choice(["file", "folder", "data.npz"])], "There is no checkpoint to read: "),
            (["play", rng.choice(["file", "folder"]), "out=a.png"], "There is no checkpoint to read: "),
            (["export", rng.choice(["file", "folder"]), "new.npz"], "There is no checkpoint to read: "),
            (["report", rng.choice(["file", "data.npz"])], "(file|data.npz) is a file; name a run directory"),
            (["report", "folder"], "No run in folder: a run directory has"),
            (["report", "run", "-o", "folder"], "--output folder is a folder; name a file"),
            (["report", "run", "--csv", "folder"], "--csv folder is a folder; name a file"),
            (["report", "run", "--png", "file"], "--png file is a file; name a folder"),
            (["report", "run", "-o", "file/page.html"], "--output file/page.html cannot be written: .*file is a file"),
            (["report", "run", "--png", "file/pictures"], "--png file/pictures cannot be written: .*file is a file"),
            (["export", "run", "folder"], r"A dataset in OGBench's layout is an \.npz file, got folder"),
            (["export", "run", "new.csv"], r"A dataset in OGBench's layout is an \.npz file, got new\.csv"),
            (["export", "run", "data.npz"], "data.npz exists; name another file"),
            (["export", "run", "file/x.npz"], "Cannot save file/x.npz: "),
            (train(rng, f"run_dir={deep}", sweep=False), f"Cannot write to run_dir {deep}: "),
            (train(rng, "run_dir=run", sweep=False), "run already holds a run; go on with it by resume=run"),
            (
                ["train", "-m", *QUICK, "seed=0,1", f"hydra.sweep.dir={deep}"],
                f"Cannot write to hydra.sweep.dir={deep}: (it is a file|Not a directory)",
            ),
            (offline("buffer.path=folder"), "buffer.path.*folder"),
            (offline("buffer.path=file"), "buffer.path=file is not a whole .npz file|buffer.path.*file"),
            (["play", "run", "out=folder", "--size", "32"], "Unknown ending of folder ''"),
            (
                ["play", "run", f"out=a{rng.choice(['.avi', '', '.PNG', '.mp', '.'])}"],
                "Unknown ending of a.* Known: .mp4",
            ),
            (["play", "run", "out=file/a.png", "--size", "32"], "Cannot save file/a.png: |.*file"),
        ]
    )


@kind(3)
def nothing_given(rng: Random) -> tuple[Iterable[str], str]:
    nothing = rng.choice(EMPTY)
    path = rng.choice(["resume", "run_dir", "hydra.sweep.dir"])
    group = rng.choice(["env", "loss", "agent", "encoder", "energy", "buffer", "logger", "relabel"])
    key = rng.choice(["precision", "device", "physics", "kernels", "reset"])
    flag = rng.choice(["--output", "--csv", "--png"])
    word = rng.choice(["''", '""', ""])
    return rng.choice(
        [
            (train(rng, f"{path}={nothing}", sweep=False), f"{path}= names no folder: give a path"),
            (train(rng, f"{group}={word}", sweep=False), rf".*\b{group}\b.*"),
            (train(rng, f"{key}={word}", sweep=False), r"Unknown .* ''"),
            (["report", "run", flag, nothing.strip("'\"")], f"{flag} names no (file|folder)"),
            (["eval", ""], "argument run_dir: '' names nothing: give a path"),
            (["play", ""], ".*'' names nothing: give a path"),
            (["export", "", "new.npz"], "argument run_dir: '' names nothing: give a path"),
            (["export", "run", ""], "argument FILE.npz: '' names nothing: give a path"),
            (["export", "run", "out="], "argument FILE.npz: '' names nothing: give a path"),
            (["report", *rng.choice([(), ("run",)]), ""], "argument PATH: '' names nothing: give a path"),
            (["list", ""], "Unknown kind ''"),
            (["bench", ""], "Unknown benchmark ''"),
            ([""], "Unknown verb ''"),
            (["eval"], "the following arguments are required: run_dir"),
            (["export", "run"], "the following arguments are required: FILE.npz"),
            (["play"], "play needs a run directory, or env=NAME policy=random"),
            (["report"], "the following arguments are required: PATH"),
        ]
    )


@kind(3)
def flag_misspelt(rng: Random) -> tuple[Iterable[str], str]:
    verb, flags = rng.choice(
        [
            ("train", [flag for flag in FLAGS if len(flag) > 5]),
            ("report", ["--output", "--title", "--no-maps"]),
            ("play", ["--learner", "--camera", "--tiles", "--steps"]),
        ]
    )
    flag = rng.choice(flags)
    wrong = "--" + slip(rng, flag[2:], [f[2:] for f in FLAGS] + ["info", "output", "learner", "no-maps"])
    if verb == "train":
        line = [*QUICK, "run_dir=new", wrong]
        rng.shuffle(line)
        return ["train", *line], f"Unknown flag {hint(wrong, flag)} Known: "
    return [verb, "run", wrong, "3"], rf"unrecognized arguments: {q(wrong)} 3 \(deepcrl {verb} --help"


@kind(3)
def grammar(rng: Random) -> tuple[Iterable[str], str]:
    key = rng.choice(["seed", "num_envs", "encoder.depth", "env.layout", "agent.evaluation"])
    bad = rng.choice(
        ["[1", "{a", "{a:1", "'a", '"a', "a]", "a}", "a'b", "f(x", "choice(", "[1,]]", "a:b]", "${", "(", ")", 'a"b']
    )
    said = rf"(Cannot read the override .{q(key)}={q(bad[:1])}|{q(key)}: |Unknown .*{q(bad[:1])})"
    return rng.choice(
        [
            (train(rng, f"{key}={bad}"), said),
            (train(rng, rng.choice(["seed", "3", "ant", "[", "'seed=3'"])), "Cannot read the override "),
            (train(rng, rng.choice(["=3", "=", "+=3"])), "Cannot read the override "),
            (train(rng, "seed=${sed}", sweep=False), "seed: Interpolation key 'sed' not found"),
            (train(rng, rng.choice(["~env", "loss=null", "~agent"])), r".*: a run needs a choice of (env|loss|agent)"),
            (train(rng, f"loss={rng.choice(['3', '[dcl]', 'true', '{a:1}'])}"), "loss=.*: loss is chosen by name"),
            (train(rng, f"hydra={rng.choice(['3', 'x', 'null', '{}'])}"), "hydra=.*: hydra is chosen part by part"),
            (train(rng, f"hydra/launcher={rng.choice(['jobli', 'joblibb'])}", sweep=False), ".*Did you mean 'joblib'"),
            (train(rng, "hydra.rnu.dir=x", sweep=False), ".*rnu.*Did you mean 'run'"),
            (train(rng, "hydra.sweep.dri=x", sweep=False), ".*dri.*Did you mean 'dir'"),
        ]
    )


@kind(2)
def several_values(rng: Random) -> tuple[Iterable[str], str]:
    words = rng.choice(["seed=0,1", "loss=infonce,dcl", "encoder.depth=4,8", "precision=fp32,bf16", "seed=range(3)"])
    return train(rng, words, sweep=False), rf"{q(words)} names several values: add -m to run each of them"


@kind(2)
def sweep_over_nothing(rng: Random) -> tuple[Iterable[str], str]:
    word, said = rng.choice(
        [
            *((w, "{} names no value, so") for w in ("seed=range(0)", "seed=range(5,2)", "loss=glob(zz*)")),
            ("seed=choice()", ".*seed"),
            ("seed=range(a,b)", ".*seed"),
            ("sweep=depth,width", "{}: one sweep at a time"),
            ("run_dir=x", "{} is the directory of one run"),
            ("resume=run", "resume= goes on with one run"),
            ("actor_encoder=null,mlp", "{}: a sweep goes over names"),
            ("env=ant,ant_u_maze_gen_1f", "{}: .* is a single run's"),
        ]
    )
    return train(rng, word, sweep=True), said.format(q(word))


@kind(4)
def conflict(rng: Random) -> tuple[Iterable[str], str]:
    words, said = rng.choice(
        [
            (("unroll_length=300",), "unroll_length=300 is longer than the ring: buffer.capacity=200"),
            (("prefill_steps=300",), "prefill_steps=300 does not fit in the ring"),
            (("batch_size=1",), "batch_size must be at least 2"),
            (("total_env_steps=50",), "total_env_steps=50 ends before the first gradient step"),
            (("cuda_graph=true", "device=cpu"), "cuda_graph=true needs a GPU"),
            (("precision=tf32", "device=cpu"), "precision=tf32 needs a GPU"),
            (("kernels=triton", "device=cpu"), "kernels=triton: it needs a GPU"),
            (("log_blocks=true", "cuda_graph=true"), "log_blocks=true looks into a gradient step"),
            (("eval_env=ant",), "eval_env=ant does not fit env=point_u_maze"),
            (("actor_encoder.depth=8",), "actor_encoder.depth has nothing to set: choose actor_encoder=NAME"),
            (("eval_env.cell_size=8",), "eval_env.cell_size has nothing to set: choose eval_env=NAME"),
            (("energy=iqe", "agent.embedding_dim=12"), "energy.component_dim=8 does not divide agent.embedding_dim=12"),
            (("encoder.depth=6",), "encoder.depth is 6; it must be a positive multiple"),
            (
                ("loss=dcl", "loss.initial_scale=3"),
                "Unknown setting of loss=dcl: 'initial_scale'.*belongs to loss=siglip",
            ),
            (("env=ant", "env.layout=u_maze"), "Unknown setting of env=ant: 'layout'"),
            (("learners.deep.encoder.depth=8",), "Unknown learner 'deep'"),
            (("+learners.eval.encoder.depth=8",), "A learner cannot be called 'eval'"),
            (("+learners.deep.encoder.dpeth=8",), "Unknown hyperparameter of encoder 'residual_mlp' 'dpeth'"),
            (("agent=gcbc", "energy=dot"), "energy=dot has no effect: agent=gcbc uses no energy"),
            (("env.layout='####/#RG#/###'",), "layout row 2 '###' has 3 cells"),
            (("device=cuda:99",), "device=cuda:99, but this"),
            (("buffer=dataset",), ".*buffer.path"),
        ]
    )
    if "agent=gcbc" in words or "buffer=dataset" in words:
        words = (*words, *(w for w in ("agent.embedding_dim=8", "buffer.capacity=200") if False))
    return train(rng, *words, sweep=False), said


@kind(3)
def contradicts_the_run(rng: Random) -> tuple[Iterable[str], str]:
    key, value = rng.choice(
        [
            *(("seed", "5"), ("num_envs", "8"), ("batch_size", "32"), ("encoder.depth", "8"), ("loss", "dcl")),
            *(("env", "ant"), ("episode_length", "30"), ("unroll_length", "6"), ("precision", "bf16")),
        ]
    )
    contradicts = (["train", "resume=run", f"{key}={value}"], rf"resume: {q(key)}={value} contradicts the saved run")
    return rng.choice(
        [
            *[contradicts] * 3,
            (["train", "resume=run", "run_dir=new"], "resume: a run goes on in its own directory, run; leave out"),
            (["train", "resume=run", "total_env_steps=0"], "total_env_steps must be at least 1, got 0"),
            (["train", "resume=run", "totl_env_steps=500"], "Unknown setting 'totl_env_steps'. Did you mean 'total_"),
            (["train", "resume=run", "-m"], "resume= goes on with one run"),
            (scored(rng, "agent=sac"), "agent=sac: an evaluation keeps the run's agent"),
            (
                scored(rng, rng.choice(["loss=dcl", "batch_size=3"])),
                "Unknown setting of an evaluation '(loss|batch_size)'",
            ),
            (scored(rng, "env=ant"), ".*does not fit|.*ant"),
            (scored(rng, "--learner", "deep"), ".*'?deep'?"),
            (
                scored(rng, rng.choice(["seed", "ant"])),
                "Cannot read the override '(seed|ant)'; an override is KEY=VALUE",
            ),
            (["play", "run", "policy=random"], "policy=random plays without a run: leave out run"),
            (["play", "env=point_u_maze", "policy=rnadom"], "Unknown policy 'rnadom'. Did you mean 'random'"),
            (["play", "policy=random"], "without a run, env=NAME says where to play"),
            (["play", "env=ant"], "play needs a run directory, or env=NAME policy=random"),
        ]
    )


@kind(3)
def film_out_of_range(rng: Random) -> tuple[Iterable[str], str]:
    flag = rng.choice(["--tiles", "--steps", "--size"])
    wrong = rng.choice(["0", "-1", "many", "1.5", "", "nan", "1e3", "٣x", "[1]", "0x10"])
    huge = {"--tiles": "1000000", "--steps": "1000000000", "--size": "100000000"}[flag]
    what = rng.choice([["run"], ["env=point_u_maze", "policy=random"]])
    said = {
        "--tiles": r"Not enough memory: 1000000 tiles of 320 pixels take .* lower --tiles or --size",
        "--steps": r"--steps must be at most 10000000, got 1000000000",
        "--size": r"--size must be at most 4096, got 100000000",
    }[flag]
    line = rng.choice(
        [(wrong, rf"argument {flag}: a whole number of at least \d+ is needed, got '{q(wrong)}'"), (huge, said)]
    )
    return ["play", *what, "out=a.png", flag, line[0]], line[1]


@kind(1)
def config_flags(rng: Random) -> tuple[Iterable[str], str]:
    return rng.choice(
        [
            (train(rng, "--cfg=jbo"), "Unknown choice of --cfg 'jbo'. Did you mean 'job'"),
            (["train", "--cfg"], "--cfg needs a value"),
            (["train", "-cn", "nowhere"], ".*nowhere"),
            (["train", "-cd", "nowhere", *QUICK, "run_dir=new"], ".*nowhere"),
            (["train", "-cp", "nowhere"], ".*nowhere"),
            (["train", "--experimental-rerun", "nowhere"], ".*nowhere"),
            (["train", "--info", "nope"], ".*nope"),
        ]
    )
