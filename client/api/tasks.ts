/** Methods of TasksService, each by itself, so that a bundle holds the codecs of those it calls. */
import {
  AttachTaskRequest,
  AttachTaskResponse,
  ExecTaskRequest,
  ExecTaskResponse,
  KillTaskRequest,
  KillTaskResponse,
  ListTaskProcessesRequest,
  ListTaskProcessesResponse,
  PauseTaskRequest,
  PauseTaskResponse,
  ReadTaskLogsRequest,
  ReadTaskLogsResponse,
  RestartTaskRequest,
  RestartTaskResponse,
  ResumeTaskRequest,
  ResumeTaskResponse,
  StartTaskRequest,
  StartTaskResponse,
  StopTaskRequest,
  StopTaskResponse,
  WaitTaskRequest,
  WaitTaskResponse,
  WatchTaskStatsRequest,
  WatchTaskStatsResponse,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import type { Method } from '../transport/method.ts';

export const startTask: Method<StartTaskRequest, StartTaskResponse> = {
  path: '/mydocker.v1.TasksService/StartTask',
  request: StartTaskRequest,
  response: StartTaskResponse,
};

export const killTask: Method<KillTaskRequest, KillTaskResponse> = {
  path: '/mydocker.v1.TasksService/KillTask',
  request: KillTaskRequest,
  response: KillTaskResponse,
};

export const stopTask: Method<StopTaskRequest, StopTaskResponse> = {
  path: '/mydocker.v1.TasksService/StopTask',
  request: StopTaskRequest,
  response: StopTaskResponse,
};

export const restartTask: Method<RestartTaskRequest, RestartTaskResponse> = {
  path: '/mydocker.v1.TasksService/RestartTask',
  request: RestartTaskRequest,
  response: RestartTaskResponse,
};

export const pauseTask: Method<PauseTaskRequest, PauseTaskResponse> = {
  path: '/mydocker.v1.TasksService/PauseTask',
  request: PauseTaskRequest,
  response: PauseTaskResponse,
};

export const resumeTask: Method<ResumeTaskRequest, ResumeTaskResponse> = {
  path: '/mydocker.v1.TasksService/ResumeTask',
  request: ResumeTaskRequest,
  response: ResumeTaskResponse,
};

export const waitTask: Method<WaitTaskRequest, WaitTaskResponse> = {
  path: '/mydocker.v1.TasksService/WaitTask',
  request: WaitTaskRequest,
  response: WaitTaskResponse,
};

export const execTask: Method<ExecTaskRequest, ExecTaskResponse> = {
  path: '/mydocker.v1.TasksService/ExecTask',
  request: ExecTaskRequest,
  response: ExecTaskResponse,
};

export const listTaskProcesses: Method<ListTaskProcessesRequest, ListTaskProcessesResponse> = {
  path: '/mydocker.v1.TasksService/ListTaskProcesses',
  request: ListTaskProcessesRequest,
  response: ListTaskProcessesResponse,
};

export const watchTaskStats: Method<WatchTaskStatsRequest, WatchTaskStatsResponse> = {
  path: '/mydocker.v1.TasksService/WatchTaskStats',
  request: WatchTaskStatsRequest,
  response: WatchTaskStatsResponse,
};

export const attachTask: Method<AttachTaskRequest, AttachTaskResponse> = {
  path: '/mydocker.v1.TasksService/AttachTask',
  request: AttachTaskRequest,
  response: AttachTaskResponse,
};

export const readTaskLogs: Method<ReadTaskLogsRequest, ReadTaskLogsResponse> = {
  path: '/mydocker.v1.TasksService/ReadTaskLogs',
  request: ReadTaskLogsRequest,
  response: ReadTaskLogsResponse,
};
